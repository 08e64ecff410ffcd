//! `deadheat trend`: each case over many runs.

use super::Failure;
use super::args::TrendArgs;
use super::output::Output;
use crate::compare::trend;
use crate::judge::RunVerdict;
use crate::report::lookup::{self, FoundRun, Stored};
use crate::report::words::number;
use crate::report::{load, sinks};

pub(crate) fn exec(args: &TrendArgs, output: &Output) -> Result<RunVerdict, Failure> {
    let usage = |message: String| Failure::new(RunVerdict::Usage, message);
    let reports = args.reports.display();
    let Stored { mut runs, damaged } =
        lookup::stored(&args.reports).map_err(|error| usage(format!("cannot read `{reports}`: {error}")))?;
    let concerned = damaged.iter().filter(|run| args.branch.as_ref().is_none_or(|branch| run.may_be_of(branch)));
    // One damaged run must not hide all others.
    concerned.for_each(|damaged| output.warning(&format!("{damaged}; left out")));
    runs.retain(|run| run.is_finished() && (args.branch.is_none() || run.branch == args.branch));
    runs.drain(..runs.len().saturating_sub(args.last));
    if runs.is_empty() {
        let branch = args.branch.as_ref().map(|branch| format!(" of the branch `{branch}`")).unwrap_or_default();
        return Err(usage(format!(
            "`{reports}` holds no finished run{branch}; name a folder in which `deadheat run` left some"
        )));
    }
    let mut loaded = Vec::with_capacity(runs.len());
    for FoundRun { folder, .. } in &runs {
        match load(folder) {
            Ok(report) => loaded.push(report),
            Err(error) => output.warning(&format!("{error}; left out")),
        }
    }
    let trend = trend::trend(&loaded, &args.filter);
    if trend.is_empty() {
        return Err(usage(format!(
            "no case of {} in `{reports}` matches the filter",
            number(runs.len() as u64, "run")
        )));
    }
    match &args.html {
        None => output.text(&trend::terminal(&trend, output.style)),
        Some(file) => {
            let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(".".as_ref());
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            sinks::write_file(folder, &name, &trend::html(&trend))
                .map_err(|error| Failure::new(RunVerdict::Environment, error))?;
            output.note(&format!(
                "{} over {}: {}",
                number(trend.len() as u64, "case"),
                number(loaded.len() as u64, "run"),
                file.display()
            ));
        }
    }
    Ok(RunVerdict::Pass)
}
