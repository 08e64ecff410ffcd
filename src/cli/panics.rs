//! What is printed of panics: one line for each place in the code, however many workers meet it.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use super::output::Output;

/// Replaces the standard library's message and backtrace. A worker's panic ends up in the report as a `crash`, the
/// harness's own as an error; the line says where in the code it was.
pub(crate) fn install(output: Output) {
    let told = Mutex::new(BTreeSet::new());
    std::panic::set_hook(Box::new(move |panic| {
        let place = place(panic);
        if told.lock().unwrap_or_else(PoisonError::into_inner).insert(place.clone()) {
            output.warning(&format!("a panic at {place}: {}", message(panic.payload())));
        }
    }));
}

fn place(panic: &PanicHookInfo<'_>) -> String {
    panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}

/// What the panic said, on one line.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let words: Vec<&str> = text.unwrap_or("a panic without a message").split_whitespace().collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_take_one_line() {
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new("left: 1\n right: 2")));
        assert_eq!(message(caught.unwrap_err().as_ref()), "left: 1 right: 2");
        assert_eq!(message(&7), "a panic without a message");
    }
}
