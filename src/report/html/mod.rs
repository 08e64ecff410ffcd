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
use crate::judge::{RunVerdict, Verdict};
use crate::outcome::OutcomeKind;

/// The name of the page in a run's folder.
pub const HTML_FILE: &str = "report.html";

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("view.js");

/// The whole page.
pub fn render(report: &Report) -> String {
    // A page of one case is about that case; of several, those that need attention are unfolded.
    let only = report.scenarios.iter().map(|scenario| scenario.cases.len()).sum::<usize>() == 1;
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
                (marks::definitions(other(report)))
                main {
                    (overview::verdict(report))
                    (overview::facts(report))
                    (overview::cases(report))
                    @for (scenario, first) in report.scenarios.iter().zip(first_numbers(report)) {
                        (section(scenario, first, only))
                    }
                    footer { "Made from report.json, schema " (report.schema) ", by deadheat " (report.tool.version) "." }
                }
                noscript { p { "Cases that are folded here need JavaScript to unfold; report.json beside this page says the same." } }
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
fn section(scenario: &ScenarioReport, first: usize, only: bool) -> Markup {
    html! {
        section.scenario {
            h2 { (scenario.name) }
            p.summary { (scenario.summary) " " span.faint { (scenario.file) @for tag in &scenario.tags { " #" (tag) } } }
            @for growth in &scenario.growth { (growth::growth(growth)) }
            @for (index, case) in scenario.cases.iter().enumerate() { (case::case(case, first + index, only || case.verdict != VerdictWord::Pass)) }
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
    outcome.as_str()
}

/// An outcome of a later version, if the report holds one.
fn other(report: &Report) -> Option<OutcomeWord> {
    let cases = report.scenarios.iter().flat_map(|scenario| &scenario.cases);
    let races =
        cases.flat_map(|case| std::iter::once(&case.race).chain(case.controls.iter().map(|control| &control.race)));
    races.flat_map(|race| race.counts.keys()).find(|outcome| outcome.kind().is_none()).copied()
}

/// The name of an outcome's shape and colour. Those of later versions share one.
fn look(outcome: OutcomeWord) -> &'static str {
    outcome.kind().map_or("other", OutcomeKind::as_str)
}

fn verdict_word(verdict: VerdictWord) -> &'static str {
    Verdict::from(verdict).as_str()
}

fn badge(verdict: VerdictWord) -> Markup {
    html! { span class={ "badge " (verdict_word(verdict)) } { (verdict_word(verdict)) } }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::report::example;
    use crate::report::schema::RunVerdictWord;

    /// The page without what is drawn, styled or scripted, a line per element.
    fn outline(page: &str) -> String {
        let drawn =
            Regex::new(r"(?s)<style>.*?</style>|<script>.*?</script>|<svg class=.(?:plot|mark|definitions).*?</svg>|<svg width=.100%.*?</svg></svg>")
                .unwrap();
        let packed = Regex::new("data-packed=\"[^\"]*\"|sha256-[^']*").unwrap();
        let page = drawn.replace_all(page, "");
        packed.replace_all(&page, "…").replace("><", ">\n<")
    }

    #[test]
    fn a_page_of_one_case_shows_all_of_it() {
        let page = render(&example::report());
        insta::assert_snapshot!(outline(&page));
        assert!(!page.contains("data-packed=\""));
    }

    #[test]
    fn of_several_cases_those_that_passed_are_packed() {
        let mut report = example::report();
        report.scenarios[0].cases.push(example::case(&["3 success"], &["3 success"]));
        let page = render(&report);
        assert_eq!(page.matches("data-packed=\"").count(), 1);
        assert_eq!(page.matches("<details class=\"case\"").count(), 2);
        assert_eq!(page, render(&report), "the same report gives the same bytes");
    }

    #[test]
    fn what_scenarios_and_servers_say_is_text() {
        const HOSTILE: &str = "</script></title><img src=x onerror=\"alert(1)\">";
        let hostile = || HOSTILE.to_owned();
        let mut report = example::report();
        report.verdict = RunVerdictWord::Fail;
        report.run.command.push(hostile());
        report.warnings.push(hostile());
        report.skipped[0].reason = hostile();
        let scenario = &mut report.scenarios[0];
        (scenario.name, scenario.summary, scenario.file) = (hostile(), hostile(), hostile());
        (scenario.growth[0].metric, scenario.growth[0].over) = (hostile(), hostile());
        let mut case = example::case(&["2 success, 1 conflict"; 30], &["3 success"]);
        (case.id, case.warnings) = (hostile(), vec![hostile()]);
        case.axes.insert(hostile(), serde_json::Value::String(hostile()));
        (case.controls[0].name, case.controls[0].why) = (hostile(), hostile());
        let race = &mut case.race;
        race.refusals.iter_mut().for_each(|refusal| (refusal.step, refusal.example) = (hostile(), hostile()));
        race.barriers.iter_mut().for_each(|barrier| barrier.name = hostile());
        for round in &mut race.kept {
            for attempt in &mut round.attempts {
                (attempt.group, attempt.code, attempt.message) = (hostile(), hostile(), hostile());
                attempt.steps.iter_mut().for_each(|step| step.step = hostile());
            }
            round.barriers.iter_mut().for_each(|barrier| barrier.name = hostile());
            round.failures.iter_mut().for_each(|failure| failure.observed = hostile());
        }
        scenario.cases = vec![case];
        let page = render(&report);
        assert!(page.matches("&lt;img src=x onerror=&quot;").count() > 30);
        assert!(!page.contains("<img"));
        assert_eq!(page.matches("</script>").count(), 1);
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let page = render(&example::report());
        let elsewhere = Regex::new(r#"(?:src|href)="(?:https?:)?//|@import|url\((?:https?:)?//"#).unwrap();
        assert!(!elsewhere.is_match(&page));
        assert!(!SCRIPT.contains("</"), "the script would end there");
    }
}
