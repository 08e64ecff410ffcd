//! A comparison as one HTML file that opens offline. Pure.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::plot::{self, Line};
use super::words;
use crate::report::schema::*;

/// The looks of comparisons and trends.
pub(super) const STYLE: &str = include_str!("style.css");

/// The whole comparison.
pub fn render(comparison: &Comparison) -> String {
    let title = format!("{} and {}", comparison.base.name, comparison.head.name);
    page(
        &title,
        html! {
            h1 { span class=(verdict_class(comparison.verdict)) { (words::verdict(comparison)) } " " (title) }
            dl {
                dt { "BASE" } dd { (words::side(&comparison.base, comparison.form)) }
                dt { "HEAD" } dd { (words::side(&comparison.head, comparison.form)) }
            }
            (list("Why", &comparison.reasons))
            (differences("Not comparable", &comparison.differences))
            (differences("What changed", &comparison.changes))
            (list("Only in BASE, not compared", &words::unpaired(comparison, true)))
            (list("Only in HEAD, not compared", &words::unpaired(comparison, false)))
            @for case in &comparison.cases { (case_section(case)) }
            @if !comparison.growth.is_empty() { (growth_section(&comparison.growth)) }
            p class="note" {
                (words::sum(comparison)) ". "
                @match comparison.form {
                    FormWord::Stored => { "Latency is " (words::WEAK) ". " }
                    FormWord::Live => { "Rounds of both sides were raced in turns, and compared in pairs. " }
                }
                "Intervals: " (comparison.resamples) " resamples, seed " (comparison.seed) "."
            }
        },
    )
}

/// A page of this title.
pub(super) fn page(title: &str, body: Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " - deadheat" }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
    .into_string()
}

fn case_section(case: &CaseComparison) -> Markup {
    let word = words::case(case);
    html! {
        section {
            h2 { span class=(word) { (word) } " " (case.case) }
            p class="note" { (words::rounds(case)) }
            ul { @for line in words::outcomes(case) { li { (line) } } }
            div.scroll {
                table {
                    thead { tr { @for head in ["metric", "BASE", "HEAD", "ratio (95 % interval)", "p", "verdict"] { th { (head) } } } }
                    tbody {
                        @for metric in &case.latency {
                            tr class=[metric.gate.then_some("gate")] {
                                td { (metric.metric) }
                                td class="number" { (words::time(metric.base_ns)) }
                                td class="number" { (words::time(metric.head_ns)) }
                                td { (words::ratio(metric)) }
                                td class="number" { (words::p_value(metric)) }
                                td { (words::change(metric)) }
                            }
                        }
                    }
                }
            }
            @for warning in &case.warnings { p class="warning" { "warning: " (warning) } }
            figure {
                (PreEscaped(curves(case)))
                figcaption { "Latency of attempts since the release, by percentile. The operations of all rounds; the verdict above goes by rounds." }
            }
        }
    }
}

fn growth_section(growths: &[GrowthComparison]) -> Markup {
    html! {
        section {
            h2 { "Growth" }
            ul {
                @for growth in growths {
                    @let word = words::growth_word(growth);
                    li { span class=(word) { (word) } " " (words::growth(growth)) ": " (words::exponents(growth)) }
                }
            }
        }
    }
}

fn curves(case: &CaseComparison) -> String {
    let line = |name: &str, value: fn(&PercentileRow) -> Option<u64>| Line {
        name: name.to_owned(),
        points: case.percentiles.iter().filter_map(|row| Some((row.quantile * 100.0, value(row)? as f64))).collect(),
    };
    let lines = [line("BASE", |row| row.base_ns), line("HEAD", |row| row.head_ns)];
    plot::lines(&lines, "percentile", &|percentile| format!("{percentile:.0}"))
}

fn list(head: &str, items: &[String]) -> Markup {
    html! {
        @if !items.is_empty() {
            h3 { (head) }
            ul { @for item in items { li { (item) } } }
        }
    }
}

fn differences(head: &str, differences: &[DifferenceReport]) -> Markup {
    html! {
        @if !differences.is_empty() {
            h3 { (head) }
            div.scroll {
                table {
                    thead { tr { th { "case" } th { "what" } th { "BASE" } th { "HEAD" } } }
                    tbody {
                        @for it in differences {
                            tr {
                                td { (it.case.as_deref().unwrap_or_default()) }
                                td { (it.what) }
                                td { pre { (it.base) } }
                                td { pre { (it.head) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn verdict_class(verdict: RunVerdictWord) -> &'static str {
    match verdict {
        RunVerdictWord::Pass => "same",
        RunVerdictWord::Inconclusive => "inconclusive",
        _ => "worse",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Options;
    use super::super::tests::{USUAL, compared, run};
    use super::*;

    #[test]
    fn a_page_stands_alone_and_escapes_what_it_shows() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.4, 2));
        head.0.scenarios[0].cases[0].race.groups[0].steps[0].text = "<script>alert(1)</script>".to_owned();
        let page = render(&compared(&base, &head, &Options::default()));
        assert!(page.starts_with("<!DOCTYPE html>"));
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
        assert_eq!(page.matches("<svg").count(), 1, "both curves in one plot");
        assert!(
            !page.contains("http://") || page.matches("http://").count() == page.matches("http://www.w3.org").count()
        );
        // The plot's coordinates are plotters' affair.
        let (before, after) = (page.split_once("<svg").unwrap().0, page.split_once("</svg>").unwrap().1);
        insta::assert_snapshot!(format!("{before}…{after}").replace(STYLE, "…").replace("><", ">\n<"));
    }
}
