//! A report as one page that needs nothing but itself: no server, no network, no other file.
//!
//! Pure: the same report gives the same bytes. Everything that scenarios and servers say is escaped by maud; the page's own script is
//! named by its hash in a content security policy, so that nothing else on the page can run.

mod barriers;
mod case;
mod counts;
mod growth;
mod latency;
mod marks;
mod overview;
mod plot;
mod timeline;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use super::schema::{OutcomeWord, Report, ScenarioReport, VerdictWord};
use crate::check::{RunVerdict, Verdict};
use crate::outcome::OutcomeKind;

/// The name of the page in a run's folder.
pub const HTML_FILE: &str = "report.html";

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("view.js");

/// The whole page.
pub fn render(report: &Report) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (RunVerdict::from(report.verdict).as_str()) ": deadheat " (report.run.id) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                (marks::definitions())
                main {
                    (overview::verdict(report))
                    (overview::facts(report))
                    (overview::cases(report))
                    @for (scenario, first) in report.scenarios.iter().zip(first_numbers(report)) {
                        (section(scenario, first))
                    }
                    footer { "Made from report.json, schema " (report.schema) ", by deadheat " (report.tool.version) "." }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// The number of each scenario's first case, counted through the report.
fn first_numbers(report: &Report) -> impl Iterator<Item = usize> {
    report.scenarios.iter().scan(0, |next, scenario| {
        let first = *next;
        *next += scenario.cases.len();
        Some(first)
    })
}

/// A scenario with its growth checks and its cases, which are numbered from `first`.
fn section(scenario: &ScenarioReport, first: usize) -> Markup {
    html! {
        section.scenario {
            h2 { (scenario.name) }
            p.summary { (scenario.summary) " " span.faint { (scenario.file) @for tag in &scenario.tags { " #" (tag) } } }
            @for growth in &scenario.growth { (growth::growth(growth)) }
            @for (index, case) in scenario.cases.iter().enumerate() { (case::case(case, first + index)) }
        }
    }
}

/// Nothing may be loaded, and no script may run but ours.
fn policy() -> String {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
}

fn word(outcome: OutcomeWord) -> &'static str {
    OutcomeKind::from(outcome).as_str()
}

fn verdict_word(verdict: VerdictWord) -> &'static str {
    Verdict::from(verdict).as_str()
}

fn badge(verdict: VerdictWord) -> Markup {
    html! { span class={ "badge " (verdict_word(verdict)) } { (verdict_word(verdict)) } }
}
