//! The cases of a report as CSV: one row for each case and each control. Rounds have a file of their own, `rounds.csv`.

use crate::outcome::OutcomeKind;

use super::cells;
use super::rows::{first_outcomes, micros};
use super::schema::*;
use super::sinks::csv_line;
use super::words::one_line;

/// The report's cases as CSV. Columns are those of `rounds.csv` where they mean the same; times are in microseconds.
pub fn table(report: &Report) -> String {
    let mut columns: Vec<String> =
        ["scenario", "case", "control", "verdict", "workers", "rounds", "rounds_failed", "rounds_inconclusive"]
            .map(str::to_owned)
            .to_vec();
    columns.extend(first_outcomes().map(|kind| kind.as_str().replace('-', "_")));
    for clock in ["own", "release"] {
        columns.extend(["p50", "p90", "p99", "max"].map(|quantile| format!("attempt_{clock}_{quantile}_us")));
    }
    columns.push(OutcomeKind::Disconnected.to_string());
    let mut text = csv_line(&columns);
    for scenario in &report.scenarios {
        for case in &scenario.cases {
            let verdict = crate::judge::Verdict::from(case.verdict).as_str();
            text.push_str(&csv_line(&row(&scenario.name, &case.id, None, verdict, &case.race)));
            for control in &case.controls {
                let verdict = match control.verdict {
                    ControlVerdictWord::Caught => "caught",
                    ControlVerdictWord::Survived => "survived",
                    ControlVerdictWord::Invalid => "invalid",
                    ControlVerdictWord::Disturbed => "disturbed",
                    ControlVerdictWord::AwaitsGrowth => "awaits-growth",
                };
                text.push_str(&csv_line(&row(
                    &scenario.name,
                    control.case_id(case),
                    Some(&control.name),
                    verdict,
                    &control.race,
                )));
            }
        }
    }
    text
}

fn row(scenario: &str, case: &str, control: Option<&str>, verdict: &str, race: &Race) -> Vec<String> {
    // It is printed, and a line of a name must not be taken for a row, or by a CI service for a command.
    let [scenario, case] = [scenario, case].map(|name| cells::written(&one_line(name)).into_owned());
    let control = cells::control(control.map(one_line).as_deref());
    let mut row = vec![scenario, case, control, verdict.to_owned()];
    row.extend([race.workers, race.rounds, race.rounds_failed, race.rounds_inconclusive].map(|it| it.to_string()));
    let count = |kind: OutcomeKind| race.counts.get(&kind.into()).copied().unwrap_or(0).to_string();
    row.extend(first_outcomes().map(count));
    for clock in [&race.attempts.all.own, &race.attempts.all.since_release] {
        row.extend([clock.p50, clock.p90, clock.p99, clock.max].map(micros));
    }
    row.push(count(OutcomeKind::Disconnected));
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn every_row_is_one_line_whatever_the_names_are() {
        let mut report = example::failing_report();
        let case = &mut report.scenarios[0].cases[0];
        case.id = "race[a=1\n::error::b]".to_owned();
        case.controls[0].name = "=1\r\n::error::c".to_owned();
        let text = table(&report);
        let cases = &report.scenarios[0].cases;
        let rows = cases.iter().map(|case| 1 + case.controls.len()).sum::<usize>();
        assert_eq!(text.lines().count(), 1 + rows, "{text}");
        assert!(text.contains("race,race[a=1 ::error::b],-,") && text.contains(",'=1  ::error::c,"), "{text}");
    }

    #[test]
    fn a_row_for_each_case_and_control() {
        insta::assert_snapshot!("cases.csv", table(&example::failing_report()));
    }
}
