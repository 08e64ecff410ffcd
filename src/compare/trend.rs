//! The outcomes and latencies of each case over many runs. Pure.
//!
//! A trend shows; it does not judge. Runs were taken at different times, so what moves all cases at once is more likely the machine than the code.

use std::collections::BTreeMap;

use maud::{PreEscaped, html};

use super::html::page;
use super::plot::{self, Line};
use super::words;
use crate::judge::Verdict;
use crate::report::schema::{CaseReport, Report};
use crate::report::terminal::{Role, Style};
use crate::report::words::number;

/// A case in one run.
#[derive(Debug, Clone, PartialEq)]
pub struct TrendPoint {
    /// When the run began, as in its report.
    pub started: String,
    /// Its branch and commit; empty outside of git.
    pub commit: String,
    /// What the case proved.
    pub verdict: Verdict,
    /// Rounds raced.
    pub rounds: u64,
    /// The mix of outcomes that most rounds ended in.
    pub outcomes: String,
    /// How many other mixes there were.
    pub other_mixes: u64,
    /// The median and the p99 of attempts since the release, where the sample supports them.
    pub p50_ns: Option<u64>,
    /// See above.
    pub p99_ns: Option<u64>,
    /// The median makespan.
    pub makespan_ns: Option<u64>,
}

/// Points by case, the oldest first.
pub type Trend = BTreeMap<String, Vec<TrendPoint>>;

/// The trend of all cases whose id contains one of `filters`, or of all. `reports` are in the order of time.
pub fn trend(reports: &[Report], filters: &[String]) -> Trend {
    let mut trend = Trend::new();
    for report in reports {
        for case in report.scenarios.iter().flat_map(|scenario| &scenario.cases) {
            if filters.is_empty() || filters.iter().any(|filter| case.id.contains(filter)) {
                trend.entry(case.id.clone()).or_default().push(point(report, case));
            }
        }
    }
    trend
}

fn point(report: &Report, case: &CaseReport) -> TrendPoint {
    let race = &case.race;
    let commit = report.run.git.as_ref().map(|git| {
        let sha: String = git.sha.chars().take(7).collect();
        format!("{}@{sha}{}", git.branch, if git.dirty { "+" } else { "" })
    });
    let usual = race.mixes.first().map(|mix| {
        let counts = mix.counts.iter().map(|(outcome, count)| format!("{count} {outcome}"));
        counts.collect::<Vec<_>>().join(", ")
    });
    TrendPoint {
        started: report.run.started.clone(),
        commit: commit.unwrap_or_default(),
        verdict: case.verdict.into(),
        rounds: race.rounds,
        outcomes: usual.unwrap_or_default(),
        other_mixes: race.mixes.len().saturating_sub(1) as u64 + u64::from(race.other_mixes > 0),
        p50_ns: race.attempts.all.since_release.p50,
        p99_ns: race.attempts.all.since_release.p99,
        makespan_ns: race.makespan.p50,
    }
}

const HEAD: [&str; 8] = ["run", "commit", "verdict", "rounds", "outcomes of most rounds", "p50", "p99", "makespan"];

fn cells(point: &TrendPoint) -> [String; 8] {
    let others = if point.other_mixes > 0 { format!(" (+ {} other mixes)", point.other_mixes) } else { String::new() };
    let p99 = point.p99_ns.map_or_else(|| "n<299".to_owned(), |nanos| words::time(Some(nanos)));
    [
        point.started.clone(),
        point.commit.clone(),
        point.verdict.to_string(),
        point.rounds.to_string(),
        format!("{}{others}", point.outcomes),
        words::time(point.p50_ns),
        p99,
        words::time(point.makespan_ns),
    ]
}

/// The trend as tables.
pub fn terminal(trend: &Trend, style: Style) -> String {
    let mut text = String::new();
    for (case, points) in trend {
        text.push_str(&format!("{}\n", style.paint(Role::Strong, case)));
        let rows: Vec<[String; 8]> = std::iter::once(HEAD.map(str::to_owned)).chain(points.iter().map(cells)).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 8] = std::array::from_fn(width);
        for (index, row) in rows.iter().enumerate() {
            let line: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            let line = format!("  {}", line.join("  "));
            let line = line.trim_end();
            text.push_str(&if index == 0 { style.paint(Role::Faint, line) } else { line.to_owned() });
            text.push('\n');
        }
        text.push('\n');
    }
    text
}

/// The trend as one page with a chart for each case.
pub fn html(trend: &Trend) -> String {
    page(
        "trend",
        html! {
            h1 { "Trend" }
            p class="note" { "Runs were taken at different times: what moves all cases at once is more likely the machine than the code." }
            @for (case, points) in trend {
                section {
                    h2 { (case) }
                    figure { (PreEscaped(chart(points))) }
                    details {
                        summary { (number(points.len() as u64, "run")) }
                        div.scroll {
                            table {
                                thead { tr { @for head in HEAD { th { (head) } } } }
                                tbody { @for point in points { tr { @for cell in cells(point) { td { (cell) } } } } }
                            }
                        }
                    }
                }
            }
        },
    )
}

fn chart(points: &[TrendPoint]) -> String {
    let line = |name: &str, value: fn(&TrendPoint) -> Option<u64>| Line {
        name: name.to_owned(),
        points: (0u32..).zip(points).filter_map(|(run, point)| Some((f64::from(run), value(point)? as f64))).collect(),
    };
    let lines = [line("makespan", |it| it.makespan_ns), line("p99", |it| it.p99_ns), line("p50", |it| it.p50_ns)];
    let label = |run: &f64| {
        let index = run.round();
        let point = ((run - index).abs() < 1e-6).then(|| points.get(index as usize)).flatten();
        // The date is enough under an axis.
        point.map(|point| point.started.chars().take(10).collect()).unwrap_or_default()
    };
    plot::lines(&lines, "run", &label)
}

#[cfg(test)]
mod tests {
    use super::super::html::STYLE;
    use super::*;
    use crate::report::example;

    fn reports() -> Vec<Report> {
        let night = |day: u32, rounds: &[&str]| {
            let mut report = example::report();
            report.run.started = format!("2026-01-{day:02}T02:00:00Z");
            report.scenarios[0].cases = vec![example::case(rounds, &["3 success"])];
            report
        };
        vec![
            night(1, &["1 success, 2 conflict"; 30]),
            night(2, &["1 success, 2 conflict", "1 success, 2 conflict", "2 success, 1 conflict"]),
        ]
    }

    #[test]
    fn every_run_of_a_case_is_a_row() {
        insta::assert_snapshot!(terminal(&trend(&reports(), &[]), Style { colour: false }));
        assert!(trend(&reports(), &["sqlite".to_owned()]).is_empty());
        assert_eq!(trend(&reports(), &["memory".to_owned()]).len(), 1);
    }

    #[test]
    fn a_page_has_a_chart_for_each_case() {
        let page = html(&trend(&reports(), &[]));
        assert_eq!(page.matches("<svg").count(), 1);
        let (before, after) = (page.split_once("<svg").unwrap().0, page.split_once("</svg>").unwrap().1);
        insta::assert_snapshot!(format!("{before}…{after}").replace(STYLE, "…").replace("><", ">\n<"));
    }
}
