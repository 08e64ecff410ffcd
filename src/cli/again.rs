//! `run --again REPORT#ROUND`: one round of a stored run once more, in the order in which its workers were told to begin.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Failure;
use super::args::RunArgs;
use super::output::Output;
use super::{select, stored};
use crate::judge::RunVerdict;
use crate::plan::{Overrides, PlannedScenario};
use crate::report::rounds::rounds;
use crate::report::schema::Report;
use crate::run;

/// A round of a stored run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Again {
    /// The report, or the run's folder.
    pub(crate) report: PathBuf,
    /// The round.
    pub(crate) round: u64,
}

/// Reads `reports/2026-11-27T14-06-36#23`.
pub(crate) fn parse(text: &str) -> Result<Again, String> {
    let (report, round) = text.rsplit_once('#').ok_or("wanted REPORT#ROUND, such as `reports/latest#23`")?;
    let round = round.parse().map_err(|_| format!("`{round}` is not the number of a round"))?;
    Ok(Again { report: PathBuf::from(report), round })
}

/// The cases of the stored run that have the round, each with the params that it was raced with and one round to race; and the
/// run's seed. Controls are left out.
pub(super) fn plan(
    again: &Again,
    args: &RunArgs,
    name: &str,
    output: &Output,
) -> Result<(Vec<PlannedScenario>, u64, run::Again), Failure> {
    let (path, report) = stored::load(Some(&again.report))?;
    let has_round = |id: &str| cases(&report).any(|(known, rounds)| known == id && again.round < rounds);
    let is_chosen =
        |id: &str| args.selection.filter.is_empty() || args.selection.filter.iter().any(|it| id.contains(it));
    let mut scenarios = Vec::new();
    for recorded in &report.scenarios {
        let overrides =
            Overrides { rounds: Some(1), run: name.to_owned(), variable: select::variable, ..Overrides::default() };
        let (mut planned, _) =
            select::plan_recorded(Path::new(&recorded.file), args.selection.limits, &report, overrides, output)?;
        planned.cases.retain(|it| has_round(&it.case.id) && is_chosen(&it.case.id));
        for planned in &mut planned.cases {
            planned.controls.clear();
        }
        if !planned.cases.is_empty() {
            scenarios.push(planned);
        }
    }
    if !cases(&report).any(|(id, _)| is_chosen(id)) {
        let filters: Vec<String> = args.selection.filter.iter().map(|it| format!("`--filter {it}`")).collect();
        let report = again.report.display();
        let message = format!("no case of `{report}` matches {}; choose one that it has", filters.join(" or "));
        return Err(Failure::new(RunVerdict::Usage, message));
    }
    if scenarios.is_empty() {
        let most = cases(&report).map(|(_, rounds)| rounds).max().unwrap_or(0);
        let message = format!(
            "no case chosen of `{}` has a round {}: its cases were raced for at most {most} rounds, numbered from 0",
            again.report.display(),
            again.round
        );
        return Err(Failure::new(RunVerdict::Usage, message));
    }
    let head_starts = head_starts(&path, &report, again.round)?;
    Ok((scenarios, report.run.seed, run::Again { round: again.round, head_starts }))
}

/// For how long some workers were held back in this round of each case, where others had a head start.
fn head_starts(path: &Path, report: &Report, round: u64) -> Result<BTreeMap<String, Duration>, Failure> {
    let wrong = |error| Failure::new(RunVerdict::Usage, error);
    let folder = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new(".")) };
    let mut head_starts = BTreeMap::new();
    for row in rounds(folder, report).map_err(wrong)? {
        let row = row.map_err(wrong)?;
        if row.round == round && row.control.is_empty() {
            head_starts.extend(row.head_start.map(|lead| (row.case, lead)));
        }
    }
    Ok(head_starts)
}

fn cases(report: &Report) -> impl Iterator<Item = (&str, u64)> {
    let cases = report.scenarios.iter().flat_map(|scenario| &scenario.cases);
    cases.map(|case| (case.id.as_str(), case.race.rounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_named_by_its_report_and_its_number() {
        let wanted = Again { report: PathBuf::from("reports/a#b"), round: 23 };
        assert_eq!(parse("reports/a#b#23"), Ok(wanted));
        assert!(parse("reports/a").unwrap_err().starts_with("wanted REPORT#ROUND"));
        assert!(parse("reports/a#last").unwrap_err().contains("`last` is not the number of a round"));
    }
}
