//! Ctrl-C and SIGTERM: the first stops the run after the round under way, the second at once.

use tokio::signal::unix::{SignalKind, signal};

use super::output::Output;
use crate::run::Stop;

/// Listens for as long as the runtime lives.
pub(crate) fn listen(stop: Stop, output: Output) -> std::io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            // Said first: the run may be over as soon as it is asked.
            match stop.is_asked() {
                false => output.warning("stopping after this round and cleaning up; once more to stop now"),
                true => output.warning("stopping now"),
            }
            stop.ask();
        }
    });
    Ok(())
}
