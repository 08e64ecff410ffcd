//! What was counted: outcomes, invariants, bounds, mixes and refusals.

use maud::{Markup, html};

use super::super::schema::{ExpectationRow, InvariantReport, LatencyBoundReport, Race, SometimesReport, VerdictWord};
use super::super::words::{ns, number, percent, span};
use super::marks;

/// Expected and observed counts, what else was checked, and how rounds ended.
pub(super) fn counts(race: &Race) -> Markup {
    html! {
        section {
            h4 { "Outcomes" }
            div.columns {
                div { div.scroll { (table(race)) } }
                div { (mixes(race)) }
            }
            @if !race.invariants.is_empty() || !race.latency_bounds.is_empty() || !race.sometimes.is_empty() {
                ul.checks {
                    @for invariant in &race.invariants { (invariant_line(invariant, race.rounds)) }
                    @for bound in &race.latency_bounds { (bound_line(bound)) }
                    @for sometimes in &race.sometimes { (sometimes_line(sometimes)) }
                }
            }
            @if let Some(evidence) = evidence(race) { p { (evidence) } }
        }
    }
}

fn table(race: &Race) -> Markup {
    html! {
        table.numbers {
            thead {
                tr {
                    th.text scope="col" { "outcome" }
                    th scope="col" { "expected" } th scope="col" { "in a round" } th scope="col" { "in all" }
                    th scope="col" { "rounds broken" }
                }
            }
            tbody { @for row in &race.expectations { (expectation(row)) } }
        }
    }
}

fn expectation(row: &ExpectationRow) -> Markup {
    html! {
        tr.zero[row.total == 0 && row.rounds_broken == 0].broken[row.rounds_broken > 0] {
            th.text scope="row" { @if let Some(group) = &row.group { (group) ": " } (marks::outcome(row.outcome)) }
            td { (row.expected) } td { (span(row)) } td { (row.total) }
            td { @if row.rounds_broken > 0 { "✗ " } (row.rounds_broken) }
        }
    }
}

/// How many rounds ended in each mix of outcomes.
pub(super) fn mixes(race: &Race) -> Markup {
    html! {
        ul.mixes {
            @for mix in &race.mixes {
                li {
                    (marks::bar(&mix.counts))
                    span.what { (marks::counts_text(&mix.counts)) }
                    span.often { (number(mix.rounds, "round")) }
                }
            }
            @if race.other_mixes > 0 { li { span.what { "other mixes" } span.often { (number(race.other_mixes, "round")) } } }
        }
    }
}

fn invariant_line(invariant: &InvariantReport, rounds: u64) -> Markup {
    let InvariantReport { name, that, held, broken, unevaluated, undecided, .. } = invariant;
    let undefined = unevaluated.saturating_sub(*undecided);
    html! {
        li.broken[held < &rounds] {
            (sign(*held == rounds)) " invariant " b { (name) } " held in " (held) " of " (number(rounds, "round"))
            @if *broken > 0 { ", broken in " (broken) }
            @if undefined > 0 { ", not evaluated in " (undefined) }
            @if *undecided > 0 { ", not decided in " (undecided) }
            " " code { (that) }
        }
    }
}

fn bound_line(bound: &LatencyBoundReport) -> Markup {
    let LatencyBoundReport { key, at_most_ns, observed_ns, operations, needed, verdict, .. } = bound;
    html! {
        li.broken[*verdict == VerdictWord::Fail] {
            (sign(*verdict == VerdictWord::Pass)) " " b { (key) } " at most " (ns(*at_most_ns)) ": "
            @match observed_ns {
                Some(observed) => { (ns(*observed)) }
                None => { "not known, since it needs " (number(*needed, "operation")) " and there were " (operations) }
            }
        }
    }
}

fn sometimes_line(sometimes: &SometimesReport) -> Markup {
    let SometimesReport { outcome, expected, rounds } = sometimes;
    html! {
        li.broken[*rounds == 0] {
            (sign(*rounds > 0)) " sometimes " (marks::outcome(*outcome)) " " (expected) ": seen in " (number(*rounds, "round"))
        }
    }
}

/// A tick or a cross, also in words for those who do not see it.
fn sign(good: bool) -> Markup {
    html! { @if good { span.sign.good role="img" aria-label="held" { "✓" } } @else { span.sign.bad role="img" aria-label="not held" { "✗" } } }
}

/// What clean rounds are worth. How many failed stands among the case's reasons.
fn evidence(race: &Race) -> Option<String> {
    let worth = match (race.failure_bound.map(percent), &race.no_bound) {
        (Some(bound), _) => format!("with 95 % confidence at most {bound} of rounds fail"),
        (None, reason) => reason.clone()?,
    };
    let rounds = number(race.rounds, "round");
    let planned =
        if race.rounds < race.rounds_planned { format!(" of {} planned", race.rounds_planned) } else { String::new() };
    let raced = race.raced.map(|raced| format!(", raced in {raced} of them")).unwrap_or_default();
    Some(format!("No failure in {rounds}{planned}{raced}: {worth}."))
}

/// Why attempts did not succeed.
pub(super) fn refusals(race: &Race) -> Markup {
    html! {
        @if !race.refusals.is_empty() {
            section {
                h4 { "Refusals" }
                div.scroll {
                    table {
                        thead { tr { th scope="col" { "outcome" } th scope="col" { "step" } th scope="col" { "code" } th.number scope="col" { "attempts" } th.number scope="col" { "rounds" } th scope="col" { "first message" } } }
                        tbody {
                            @for refusal in &race.refusals {
                                tr {
                                    td { (marks::outcome(refusal.outcome)) } td { (refusal.step) } td { code { (refusal.code) } }
                                    td.number { (refusal.count) } td.number { @if let Some(rounds) = refusal.rounds { (rounds) } } td.message { (refusal.example) }
                                }
                            }
                        }
                    }
                }
                @if race.other_refusals > 0 { p.note { (number(race.other_refusals, "refusal")) " of other sorts." } }
            }
        }
    }
}
