//! `deadheat judge`: stored rounds under a scenario's expectations as they are now.

use std::path::Path;

use super::args::JudgeArgs;
use super::output::Output;
use super::{Failure, select, stored};
use crate::judge::{RunVerdict, Verdict};
use crate::plan::{Overrides, PlannedScenario};
use crate::report::rounds::rounds;
use crate::report::schema::{Report, ScenarioReport};
use crate::report::words::number;
use crate::run::rejudge::{CaseChange, GrowthChange, Rejudge, Rejudged};

pub(crate) fn exec(args: &JudgeArgs, output: &Output) -> Result<RunVerdict, Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::new(RunVerdict::Usage, error);
    let (path, report) = stored::load(args.report.as_deref())?;
    let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new(".")) };
    let (planned, unknown) = select::plan_recorded(&args.scenario, args.limits, &report, Overrides::default(), output)?;
    let recorded = recorded(&report, &planned)?;
    let mut rejudge = Rejudge::new(recorded, planned);
    for row in rounds(folder, &report).map_err(|error| wrong(&error))? {
        rejudge.add(&row.map_err(|error| wrong(&error))?);
    }
    let rejudged = rejudge.end().map_err(|error| wrong(&error))?;
    let unknown = unknown.iter().map(|id| format!("{id}: not judged\n  the report has no such case; race it\n"));
    output.text(&(unknown.collect::<String>() + &text(&rejudged)));
    Ok(rejudged.verdict)
}

/// What the report says of the scenario.
fn recorded<'a>(report: &'a Report, planned: &PlannedScenario) -> Result<&'a ScenarioReport, Failure> {
    let name = &planned.head.name;
    report.scenarios.iter().find(|scenario| scenario.name == *name).ok_or_else(|| {
        let known: Vec<String> = report.scenarios.iter().map(|scenario| format!("`{}`", scenario.name)).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let message = format!("the report has no scenario `{name}`; its scenarios are {known}");
        Failure::new(RunVerdict::Usage, message)
    })
}

fn text(rejudged: &Rejudged) -> String {
    let Rejudged { cases, growth, unmatched, verdict } = rejudged;
    let mut text: String = cases.iter().map(case_text).chain(growth.iter().map(growth_text)).collect();
    for (id, reason) in unmatched {
        text.push_str(&format!("{id}: not judged\n  {reason}\n"));
    }
    let changed = cases.iter().filter(|case| case.before != case.after).count()
        + growth.iter().filter(|growth| growth.before != Some(growth.after.verdict)).count();
    let code = match verdict.exit_code() {
        0 => String::new(),
        code => format!(" (exit code {code})"),
    };
    text.push_str(&format!(
        "{}: {changed} of {} changed{code}\n",
        verdict.as_str(),
        number((cases.len() + growth.len()) as u64, "verdict")
    ));
    text
}

/// Reasons that are gone are marked with `-`, new ones with `+`.
fn case_text(case: &CaseChange) -> String {
    let mut text = format!("{}: {}\n", case.id, change(Some(case.before), case.after));
    case.notes.iter().for_each(|note| text.push_str(&format!("  note: {note}\n")));
    for reason in case.reasons_before.iter().filter(|reason| !case.reasons_after.contains(reason)) {
        text.push_str(&format!("  - {reason}\n"));
    }
    for reason in &case.reasons_after {
        let mark = if case.reasons_before.contains(reason) { ' ' } else { '+' };
        text.push_str(&format!("  {mark} {reason}\n"));
    }
    if let Some((round, failures)) = &case.first_failed {
        for failure in failures {
            let group = failure.group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
            let place = failure.place.as_ref().map(|place| format!("  {place}")).unwrap_or_default();
            let (check, expected, observed) = (&failure.check, &failure.expected, &failure.observed);
            text.push_str(&format!(
                "    round {round}: {group}{check}: expected {expected}, observed {observed}{place}\n"
            ));
        }
    }
    text
}

fn growth_text(growth: &GrowthChange) -> String {
    let GrowthChange { before, after } = growth;
    let mut held: Vec<String> = after.others.iter().map(|(axis, value)| format!("{axis}={value}")).collect();
    held.extend(after.control.iter().map(|control| format!("control {control}")));
    let held = if held.is_empty() { String::new() } else { format!(" [{}]", held.join(",")) };
    let reason = after.reason.as_ref().map(|reason| format!("  {reason}\n")).unwrap_or_default();
    format!("growth {}{held}: {}\n{reason}", after.name, change(*before, after.verdict))
}

fn change(before: Option<Verdict>, after: Verdict) -> String {
    match before {
        Some(before) if before == after => format!("{after}, as recorded"),
        Some(before) => format!("{before} -> {after}"),
        None => format!("{after}, and was not judged before"),
    }
}
