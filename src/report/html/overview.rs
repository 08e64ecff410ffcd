//! The top of the page: the verdict, what did not pass, how it was run, and every case in one line.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::super::checks::plain;
use super::super::schema::{
    CaseReport, ControlVerdictWord, Counts, FailureReport, Report, RunVerdictWord, ScenarioReport, VerdictWord,
};
use super::super::words::{not_raced, ns, number, shortened, sum};
use super::{badge, marks};
use crate::judge::RunVerdict;

/// Cases in the order of the report, with the numbers of their anchors.
pub(super) fn numbered(report: &Report) -> Vec<(usize, &CaseReport)> {
    report.scenarios.iter().flat_map(|scenario| &scenario.cases).enumerate().collect()
}

/// The verdict with all that speaks against a pass.
pub(super) fn verdict(report: &Report) -> Markup {
    let cases = numbered(report);
    let troubled = |verdict| cases.iter().filter(move |(_, case)| case.verdict == verdict);
    let growth = report.scenarios.iter().flat_map(|scenario| &scenario.growth);
    let class = match report.verdict {
        RunVerdictWord::Pass => "pass",
        RunVerdictWord::Inconclusive | RunVerdictWord::NotComparable | RunVerdictWord::Interrupted => "inconclusive",
        _ => "fail",
    };
    html! {
        header class={ "verdict " (class) } {
            p.tool { "deadheat " (report.tool.version) }
            h1 { (RunVerdict::from(report.verdict).as_str()) }
            p.sum { (sum(report)) }
            ul {
                @for (index, case) in troubled(VerdictWord::Fail).chain(troubled(VerdictWord::Inconclusive)) {
                    li {
                        (badge(case.verdict)) " " a href={ "#case-" (index) } { (case.id) }
                        @for reason in &case.reasons { br; span.because { (reason) } }
                        @if let Some(failures) = first_failures(case) {
                            @for FailureReport { check, group, expected, observed, .. } in failures {
                                br; span.because { @if let Some(group) = group { (group) ": " } (check) ": expected " (expected) ", observed " (shortened(observed, 80)) }
                            }
                        }
                    }
                }
                @for growth in growth.filter(|growth| growth.verdict != VerdictWord::Pass) {
                    li { (badge(growth.verdict)) " " (growth.name) @if let Some(reason) = &growth.reason { br; span.because { (reason) } } }
                }
                @for skipped in &report.skipped {
                    li { span.badge.inconclusive { "skipped" } " " (skipped.case) br; span.because { (skipped.reason) "; " code { (skipped.remedy) } } }
                }
                @if let Some(error) = &report.error { li { span.badge.fail { "error" } " " (error) } }
                @if let Some(cases) = not_raced(report) { li { span.badge.inconclusive { "not raced" } " " (cases) } }
                @for warning in &report.warnings { li { span.badge.inconclusive { "warning" } " " (warning) } }
            }
        }
    }
}

/// What did not hold in the first failing round that was kept.
fn first_failures(case: &CaseReport) -> Option<&[FailureReport]> {
    let failed = case.race.kept.iter().find(|round| round.verdict == VerdictWord::Fail)?;
    Some(&failed.failures)
}

/// When, where and how.
pub(super) fn facts(report: &Report) -> Markup {
    let run = &report.run;
    let machine = &run.machine;
    let systems: BTreeSet<String> = numbered(report)
        .iter()
        .flat_map(|(_, case)| &case.targets)
        .map(|target| format!("{} {} ({})", target.driver, target.version, target.origin))
        .collect();
    html! {
        dl.facts {
            div { dt { "started" } dd { (run.started) } }
            div { dt { "seed" } dd { code { (run.seed) } } }
            div {
                dt { "git" }
                dd {
                    @match &run.git {
                        Some(git) => { (git.branch) " " code title=(git.sha) { (git.sha.chars().take(10).collect::<String>()) } @if git.dirty { ", with changes" } }
                        None => { "no working copy" }
                    }
                }
            }
            div { dt { "machine" } dd { (number(machine.cores, "core")) ", " (machine.cpu) ", " (memory(machine.memory)) ", " (machine.os) } }
            div.wide { dt { "systems" } dd { @for (index, system) in systems.iter().enumerate() { @if index > 0 { " · " } span.system { (system) } } } }
            div.wide { dt { "command" } dd { code.command { (run.command.join(" ")) } } }
            @if !report.files.is_empty() {
                div.wide {
                    dt { "data" }
                    dd { a href="report.json" { "report.json" } @for file in &report.files { ", " a href=(file.name) { (file.name) } } }
                }
            }
        }
    }
}

fn memory(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Every case in one line.
pub(super) fn cases(report: &Report) -> Markup {
    let mut cases = numbered(report).into_iter();
    html! {
        section.overview {
            h2 { "Cases" }
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { "verdict" } th scope="col" { "case" } th.bars scope="col" { "outcomes of all rounds" }
                            th.number scope="col" { "rounds" } th.number.wide scope="col" { "attempt p50" }
                            th.number.wide scope="col" { "skew p50" } th.number.wide scope="col" { "controls" }
                        }
                    }
                    @for scenario in &report.scenarios {
                        tbody {
                            @if scenario.cases.len() > 1 { tr.of { td colspan="7" { (scenario.name) } } }
                            @for (index, case) in cases.by_ref().take(scenario.cases.len()) { (line(index, case, scenario)) }
                        }
                    }
                }
            }
            p.legend { @for outcome in seen(report).keys() { (marks::outcome(*outcome)) " " } }
        }
    }
}

fn line(index: usize, case: &CaseReport, scenario: &ScenarioReport) -> Markup {
    let race = &case.race;
    let time = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), ns);
    let skew = race.barriers.first().filter(|barrier| barrier.parties > 1).and_then(|barrier| barrier.skew.p50);
    let caught = case.controls.iter().filter(|control| control.verdict == ControlVerdictWord::Caught).count();
    let judged = case.controls.iter().filter(|control| control.verdict != ControlVerdictWord::AwaitsGrowth).count();
    html! {
        tr {
            td { (badge(case.verdict)) }
            th scope="row" {
                a href={ "#case-" (index) } {
                    // Below the scenario's name the axes are enough.
                    @if scenario.cases.len() == 1 || case.axes.is_empty() { (breakable(&case.id)) }
                    @else { (axes(case)) }
                }
            }
            td.bars { (marks::bar(&race.counts)) span.said aria-hidden="true" { (marks::counts_text(&race.counts)) } }
            td.number { (race.rounds) }
            td.number.wide { (time(race.attempts.all.since_release.p50)) }
            td.number.wide { (time(skew)) }
            td.number.wide { @if judged > 0 { (caught) " of " (judged) " caught" } @else { "-" } }
        }
    }
}

/// `backend=sqlite, instances=2`.
fn axes(case: &CaseReport) -> String {
    let axes: Vec<String> = case.axes.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    axes.join(", ")
}

/// A case id that lines may break within, after `[` and after commas.
fn breakable(id: &str) -> Markup {
    html! { @for part in id.split_inclusive(['[', ',']) { (part) wbr; } }
}

/// The outcomes that occurred anywhere.
fn seen(report: &Report) -> Counts {
    let mut seen = Counts::new();
    for (_, case) in numbered(report) {
        for (outcome, count) in case.race.counts.iter().filter(|(_, count)| **count > 0) {
            *seen.entry(*outcome).or_default() += count;
        }
    }
    seen
}
