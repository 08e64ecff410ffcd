//! A comparison as Markdown, for job summaries and pull requests. Pure.

use super::words;
use crate::report::schema::*;

/// The whole comparison.
pub fn render(comparison: &Comparison) -> String {
    let mut text = format!("## deadheat compare: {}\n\n", words::verdict(comparison));
    text += &format!("- BASE: {}\n", escaped(&words::side(&comparison.base, comparison.form)));
    text += &format!("- HEAD: {}\n\n", escaped(&words::side(&comparison.head, comparison.form)));
    text += &list("Why", &comparison.reasons);
    let told = |differences: &[DifferenceReport]| differences.iter().map(words::difference).collect::<Vec<_>>();
    text += &list("Not comparable", &told(&comparison.differences));
    text += &list("What changed", &told(&comparison.changes));
    text += &list("Only in BASE, not compared", &words::unpaired(comparison, true));
    text += &list("Only in HEAD, not compared", &words::unpaired(comparison, false));
    if comparison.cases.is_empty() {
        return text;
    }
    text += "| case | | counts and verdicts | gate | BASE | HEAD | ratio (95 % interval) | p | |\n";
    text += "|---|---|---|---|---:|---:|---|---:|---|\n";
    for case in &comparison.cases {
        for (index, metric) in case.latency.iter().filter(|metric| metric.gate).enumerate() {
            let (id, outcomes) =
                if index == 0 { (case.case.as_str(), words::outcomes(case).join("; ")) } else { ("", String::new()) };
            let cells = [
                id,
                words::case(case),
                &outcomes,
                &metric.metric,
                &words::time(metric.base_ns),
                &words::time(metric.head_ns),
                &words::ratio(metric),
                &words::p_value(metric),
                &words::change(metric),
            ];
            text += &format!("| {} |\n", cells.map(escaped).join(" | "));
        }
    }
    let growth: Vec<String> = comparison
        .growth
        .iter()
        .map(|it| format!("{}: {}: {}", words::growth_word(it), words::growth(it), words::exponents(it)))
        .collect();
    if !growth.is_empty() {
        text += &format!("\n{}", list("Growth", &growth));
    }
    let others: Vec<String> = comparison.cases.iter().flat_map(other_metrics).collect();
    if !others.is_empty() {
        text += "\n<details><summary>Other metrics, which count for nothing</summary>\n\n";
        text += "| case | metric | BASE | HEAD | ratio (95 % interval) | p | |\n|---|---|---:|---:|---|---:|---|\n";
        text += &others.concat();
        text += "\n</details>\n";
    }
    let warnings: Vec<String> = comparison
        .cases
        .iter()
        .flat_map(|case| case.warnings.iter().map(|warning| format!("`{}`: {warning}", case.case)))
        .collect();
    if !warnings.is_empty() {
        text += &format!("\n{}", list("Warnings", &warnings));
    }
    text += &format!("\n{}.", words::sum(comparison));
    if comparison.form == FormWord::Stored {
        text += &format!(" Latency is {}.", words::WEAK);
    }
    text.push('\n');
    text
}

fn other_metrics(case: &CaseComparison) -> Vec<String> {
    let rows = case.latency.iter().filter(|metric| !metric.gate).map(|metric| {
        let cells = [
            &case.case,
            &metric.metric,
            &words::time(metric.base_ns),
            &words::time(metric.head_ns),
            &words::ratio(metric),
            &words::p_value(metric),
            &words::change(metric),
        ];
        format!("| {} |\n", cells.map(|cell| escaped(cell)).join(" | "))
    });
    rows.collect()
}

fn list(head: &str, items: &[String]) -> String {
    if items.is_empty() {
        return String::new();
    }
    let items: Vec<String> = items.iter().map(|item| format!("- {}\n", escaped(item))).collect();
    format!("{head}:\n\n{}\n", items.concat())
}

/// In one line, with nothing that Markdown tables or HTML would take for their own. Backticks stay, so code stays code.
fn escaped(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{USUAL, compared, run};
    use super::super::{FailOn, Options};
    use super::*;

    #[test]
    fn a_comparison_fits_a_job_summary() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.4, 2));
        head.0.scenarios[0].cases[0].race.groups[0].steps[0].text = "SELECT a || b".to_owned();
        let options = Options { fail_on: [FailOn::Regression].into(), ..Options::default() };
        insta::assert_snapshot!(render(&compared(&base, &head, &options)));
    }

    #[test]
    fn a_refusal_has_no_table() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
        head.0.tool.version = "9.9.9".to_owned();
        insta::assert_snapshot!(render(&compared(&base, &head, &Options::default())));
    }
}
