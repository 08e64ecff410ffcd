//! `deadheat check`: reads and plans scenarios without touching a server.

use super::Failure;
use super::args::{CheckArgs, Format};
use super::output::Output;
use super::select;
use crate::check::RunVerdict;

pub(crate) fn exec(args: &CheckArgs, output: &Output) -> Result<RunVerdict, Failure> {
    let planned = select::plan(&args.selection, None, "run", args.format, output)?;
    if args.format == Format::Text {
        let cases: usize = planned.iter().map(|scenario| scenario.cases.len()).sum();
        let controls: usize =
            planned.iter().flat_map(|scenario| &scenario.cases).map(|planned| planned.controls.len()).sum();
        output.data(&format!("{} scenarios, {cases} cases and {controls} controls: no faults\n", planned.len()));
    }
    Ok(RunVerdict::Pass)
}
