//! Races code of your own. Two callers of a shop buy the last seat: `cargo run --release --example closures`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use deadheat::{Context, Error, Refused, Report};

/// A shop that looks before it sells. With the lock nobody comes between looking and selling.
#[derive(Default)]
struct Shop {
    seats: AtomicI64,
    sold: AtomicI64,
    lock: tokio::sync::Mutex<()>,
    log: Mutex<Vec<usize>>,
}

impl Shop {
    async fn buy(&self, context: &Context, locked: bool) -> Result<(), Refused> {
        let _guard = if locked { Some(self.lock.lock().await) } else { None };
        if self.seats.load(SeqCst) == 0 {
            return Err(Refused::conflict("sold out"));
        }
        if !locked {
            // Every worker has looked before any of them sells. With the lock only one can have looked.
            context.barrier("looked").await?;
        }
        self.seats.fetch_sub(1, SeqCst);
        self.sold.fetch_add(1, SeqCst);
        if let Ok(mut log) = self.log.lock() {
            log.push(context.worker);
        }
        Ok(())
    }
}

/// Races the shop with its lock. The control, which has none, must be caught.
async fn race() -> Result<Report, Error> {
    let shop = Arc::new(Shop::default());
    let (reset, sound, broken, sold) = (shop.clone(), shop.clone(), shop.clone(), shop);
    deadheat::race(2)
        .named("last-seat")
        .rounds(50)
        .before_round(move |_| {
            reset.seats.store(1, SeqCst);
            reset.sold.store(0, SeqCst);
            async { Ok::<_, Refused>(()) }
        })
        .barrier("looked")
        .worker(move |context| {
            let shop = sound.clone();
            async move { shop.buy(&context, true).await }
        })
        .control("no lock", "both look before either sells", &["success"], move |context| {
            let shop = broken.clone();
            async move { shop.buy(&context, false).await }
        })
        .expect("success", 1)
        .expect("conflict", "workers - 1")
        .invariant("what was sold was paid for", "found == success", move || {
            let sold = sold.sold.load(SeqCst);
            async move { Ok::<_, Refused>(sold) }
        })
        .run()
        .await
}

#[tokio::main]
async fn main() -> ExitCode {
    match race().await {
        Ok(report) => {
            print(&report.text());
            report.verdict().exit_code().into()
        }
        Err(error) => {
            print(&format!("error: {error}\n"));
            error.verdict().exit_code().into()
        }
    }
}

#[allow(clippy::print_stdout, reason = "an example shows what came of it")]
fn print(text: &str) {
    print!("{text}");
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_last_seat_is_sold_once() {
        super::race().await.expect("it was raced").assert_passed();
    }
}
