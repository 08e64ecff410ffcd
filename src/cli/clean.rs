//! `deadheat clean`: removes what killed runs left behind.

use super::Failure;
use super::output::Output;
use crate::judge::RunVerdict;
use crate::server::leftover::{self, Sweep};

pub(crate) fn exec(output: &Output) -> Result<RunVerdict, Failure> {
    let Sweep { removed, failed } = leftover::sweep();
    if removed.is_empty() && failed.is_empty() {
        output.note("nothing was left behind");
    }
    for removed in removed {
        output.note(&removed.to_string());
    }
    match failed.as_slice() {
        [] => Ok(RunVerdict::Pass),
        failed => {
            let messages: Vec<String> = failed.iter().map(ToString::to_string).collect();
            Err(Failure::new(RunVerdict::Environment, messages.join("\n")))
        }
    }
}
