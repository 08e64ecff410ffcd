//! One case: a section that unfolds.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use maud::{Markup, html};

use super::super::checks::plain;
use super::super::schema::{
    CaseReport, ControlReport, ControlVerdictWord, GroupReport, RoundReport, TargetReport, VerdictWord,
};
use super::super::words::{name_of, ns, number, shortened};
use super::{badge, barriers, counts, latency, marks, timeline};

/// Characters shown of what a check observed; report.json has them all.
const LONGEST: usize = 300;

/// A case under the anchor `case-<index>`. What is folded is packed, and unpacked by `view.js` when it is unfolded: a run of eighty cases
/// is then a tenth of the size.
pub(super) fn case(case: &CaseReport, index: usize, open: bool) -> Markup {
    let race = &case.race;
    let targets: Vec<String> =
        case.targets.iter().map(|target| format!("{} {}", target.driver, target.version)).collect();
    html! {
        details.case id={ "case-" (index) } open[open] {
            summary {
                (badge(case.verdict))
                h3 { (case.id) }
                span.facts {
                    (number(race.rounds, "round")) " of " (number(race.workers, "worker"))
                    " · " (targets.join(", ")) " · " (ns(case.elapsed_ns))
                }
            }
            @if open { (body(case)) } @else { div data-packed=(packed(&body(case).into_string())) {} }
        }
    }
}

fn body(case: &CaseReport) -> Markup {
    let race = &case.race;
    html! {
        @for reason in &case.reasons { p class={ "reason " (super::verdict_word(case.verdict)) } { (reason) } }
        @for warning in &case.warnings { p.reason { "warning: " (warning) } }
        (counts::counts(race))
        (controls(&case.controls))
        (rounds(&race.kept, race.rounds, &race.groups))
        (latency::latency(race))
        (barriers::barriers(race))
        (counts::refusals(race))
        (as_raced(case))
    }
}

/// `text` as zlib in base64, which browsers can undo.
fn packed(text: &str) -> String {
    let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text.as_bytes()).expect("writing to memory does not fail");
    STANDARD.encode(packer.finish().expect("writing to memory does not fail"))
}

fn controls(controls: &[ControlReport]) -> Markup {
    html! {
        @if !controls.is_empty() {
            section {
                h4 { "Controls" }
                p.note { "Broken variants of the scenario. Its checks must notice them." }
                @for control in controls { (control_lines(control)) }
            }
        }
    }
}

fn control_lines(control: &ControlReport) -> Markup {
    let good = control.verdict == ControlVerdictWord::Caught;
    let telling = control.race.kept.iter().find(|kept| Some(kept.round) == control.round);
    html! {
        div.control {
            p {
                @match control.verdict {
                    ControlVerdictWord::Caught => span.badge.pass { "caught" },
                    ControlVerdictWord::Survived => span.badge.fail { "survived" },
                    ControlVerdictWord::Invalid => span.badge.fail { "invalid" },
                    ControlVerdictWord::Disturbed => span.badge.inconclusive { "disturbed" },
                    ControlVerdictWord::AwaitsGrowth => span.badge.plain { "see growth" },
                }
                " " b { (control.name) }
                @if good {
                    @if let Some(round) = control.round { " in round " (round) }
                    @if let (Some(check), Some(expected), Some(observed)) = (&control.check, &control.expected, &control.observed) {
                        " by " b { (check) } ": expected " code { (expected) } ", observed " code { (shortened(observed, LONGEST)) }
                    }
                } @else if control.verdict == ControlVerdictWord::Survived {
                    " in " (number(control.race.rounds, "round")) ", though one of " (control.breaks.join(", ")) " should have broken"
                }
                @if let Some(reason) = &control.reason { ": " (reason) }
            }
            p.why { (control.why) }
            @if let Some(round) = telling { (folded(html! { "In full:" }, round, control.race.rounds, &control.race.groups, false)) }
            @else if control.verdict == ControlVerdictWord::Survived { (counts::mixes(&control.race)) }
        }
    }
}

/// The rounds kept in full, those that failed first.
fn rounds(kept: &[RoundReport], raced: u64, groups: &[GroupReport]) -> Markup {
    let mut ordered: Vec<&RoundReport> = kept.iter().collect();
    ordered.sort_by_key(|round| match round.verdict {
        VerdictWord::Fail => 0,
        VerdictWord::Inconclusive => 1,
        VerdictWord::Pass => 2,
    });
    html! {
        @if !ordered.is_empty() {
            section {
                h4 { "Race, round by round" }
                p.note { (kept.len()) " of " (number(raced, "round")) " kept in full." }
                @for (index, round) in ordered.iter().enumerate() { (folded(badge(round.verdict), round, raced, groups, index == 0)) }
            }
        }
    }
}

/// One round with its timeline. A control's round has no badge: it is as it should be if it failed.
fn folded(lead: Markup, round: &RoundReport, raced: u64, groups: &[GroupReport], open: bool) -> Markup {
    let last = raced.saturating_sub(1);
    html! {
        details.round open[open] {
            summary {
                (lead) " round " (name_of(round)) @if last > 0 { span.faint { " of 0 to " (last) } } " "
                (marks::bar(&round.counts)) " " span.faint { (marks::counts_text(&round.counts)) ", " (ns(round.makespan_ns)) }
            }
            @for failure in &round.failures {
                p.failure {
                    @if let Some(group) = &failure.group { (group) ": " }
                    b { (failure.check) } ": expected " code { (failure.expected) } ", observed " code { (shortened(&failure.observed, LONGEST)) }
                    @if let Some(place) = &failure.place { " " span.faint { (place) } }
                }
            }
            @if let Some(reason) = &round.inconclusive { p.failure { (reason) } }
            (timeline::timeline(round, groups))
        }
    }
}

/// What exactly was raced, for those who doubt it.
fn as_raced(case: &CaseReport) -> Markup {
    html! {
        details.more {
            summary { "Steps, settings and params as raced" }
            @for group in &case.race.groups { (group_steps(group)) }
            @for target in &case.targets { (target_facts(target)) }
            @if !case.params.is_empty() || !case.axes.is_empty() {
                p { "Params: " @for (name, value) in case.params.iter().chain(&case.axes) { code { (name) " = " (plain(value)) } " " } }
            }
        }
    }
}

fn group_steps(group: &GroupReport) -> Markup {
    html! {
        h5 {
            (group.name) ", " (number(group.workers, "worker"))
            @if group.repeat > 1 { ", " (group.repeat) " times" }
            @if let Some(level) = &group.transaction { ", in a transaction, " (level) }
        }
        ol.steps {
            @for step in &group.steps {
                li {
                    b { (step.name) } " " span.faint { (step.action) }
                    @if !step.text.is_empty() && step.text != step.name { pre { (step.text.trim()) } }
                }
            }
        }
    }
}

fn target_facts(target: &TargetReport) -> Markup {
    html! {
        p {
            "Target " b { (target.name) } ": " (target.driver) " " (target.version) ", " (target.origin) " "
            @for (name, value) in &target.settings { code { (name) " = " (value) } " " }
        }
    }
}
