//! Ctrl-C and SIGTERM: the first stops the run after the round under way, a later one at once.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::output::Output;
use crate::run::Stop;

/// A signal that comes sooner than this after the first one is part of the same wish. GNU `timeout` sends each signal
/// twice, to the process and to its group; a terminal that is closed sends two kinds of signal.
const SECOND_COUNTS_AFTER: Duration = Duration::from_secs(1);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    /// End after the round under way.
    Stop,
    /// End at once.
    StopNow,
    /// Nothing: it belongs to the first signal.
    Nothing,
}

/// The signals so far.
#[derive(Debug, Default)]
struct Signals {
    first: Option<Instant>,
}

impl Signals {
    /// What the signal that came at `now` asks for.
    fn wish(&mut self, now: Instant) -> Wish {
        match self.first {
            None => {
                self.first = Some(now);
                Wish::Stop
            }
            Some(first) if now.saturating_duration_since(first) < SECOND_COUNTS_AFTER => Wish::Nothing,
            Some(_) => Wish::StopNow,
        }
    }
}

/// Listens for as long as the runtime lives.
pub(crate) fn listen(stop: Stop, output: Output) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        let mut signals = Signals::default();
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            // Said first: the run may be over as soon as it is asked.
            match signals.wish(Instant::now()) {
                Wish::Nothing => continue,
                Wish::Stop => output.warning("stopping after this round and cleaning up; once more to stop now"),
                Wish::StopNow => output.warning("stopping now"),
            }
            stop.ask();
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_signal_counts_only_after_a_moment() {
        let start = Instant::now();
        let mut signals = Signals::default();
        let wishes = [0, 2, 999, 1_000, 1_001].map(|ms| signals.wish(start + Duration::from_millis(ms)));
        assert_eq!(wishes, [Wish::Stop, Wish::Nothing, Wish::Nothing, Wish::StopNow, Wish::StopNow]);
    }
}
