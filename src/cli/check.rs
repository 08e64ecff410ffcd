//! `deadheat check`: reads and plans scenarios without touching a server.

use super::Failure;
use super::args::{CheckArgs, Format};
use super::output::Output;
use super::select::{self, Purpose};
use crate::judge::RunVerdict;
use crate::report::words::number;

pub(crate) fn exec(args: &CheckArgs, output: &Output) -> Result<RunVerdict, Failure> {
    let planned = select::plan(&args.selection, None, "run", Purpose::Check(args.format), output)?;
    if args.format == Format::Text {
        let cases: usize = planned.iter().map(|scenario| scenario.cases.len()).sum();
        let controls: usize =
            planned.iter().flat_map(|scenario| &scenario.cases).map(|planned| planned.controls.len()).sum();
        let [scenarios, cases, controls] = [(planned.len(), "scenario"), (cases, "case"), (controls, "control")]
            .map(|(it, noun)| number(it as u64, noun));
        output.data(&format!("{scenarios}, {cases} and {controls}: no faults\n"));
    }
    Ok(RunVerdict::Pass)
}
