//! `summary.md`: the run for a CI job's page, or a comment.

use crate::judge::RunVerdict;

use super::checks::{case_checks, growth_check, repeat_command};
use super::schema::*;
use super::terminal::{Style, round_lines};
use super::words::{not_raced, ns, number, one_line, origins, sum};

/// GitHub takes at most 1 MiB from one step, and drops all of it when it is more.
pub const LIMIT: usize = 1024 * 1024 - 1;

/// The report as Markdown of at most `limit` bytes: first the cases in a table, then what did not pass, with one round of each.
/// What does not fit is left out piece by piece from the end, and counted.
pub fn summary(report: &Report, limit: usize) -> String {
    let mut cut = Cut { text: String::new(), limit, left_out: 0 };
    cut.add(&headline(report));
    cut.add("\n| verdict | case | rounds | workers | outcomes in all rounds | attempt p50 | p99 | controls |\n|---|---|--:|--:|---|--:|--:|---|\n");
    let cases = || report.scenarios.iter().flat_map(|scenario| scenario.cases.iter().map(move |case| (scenario, case)));
    let by_weight = [VerdictWord::Fail, VerdictWord::Inconclusive, VerdictWord::Pass];
    for verdict in by_weight {
        cases().filter(|(_, case)| case.verdict == verdict).for_each(|(_, case)| cut.add(&row(case)));
    }
    for SkippedCase { case, reason, remedy, .. } in &report.skipped {
        cut.add(&format!("| skipped | {} | {} |\n", cell_code(case), cell(&format!("{reason}; {remedy}"))));
    }
    for growth in report.scenarios.iter().flat_map(|scenario| &scenario.growth) {
        cut.add(&growth_line(growth));
    }
    if let Some(error) = &report.error {
        cut.add(&format!("\n> error: {}\n", line(error)));
    }
    if let Some(cases) = not_raced(report) {
        cut.add(&format!("\n> not raced: {}\n", line(&cases)));
    }
    for warning in &report.warnings {
        cut.add(&format!("\n> warning: {}\n", line(warning)));
    }
    for verdict in by_weight {
        let told = cases().filter(|(_, case)| case.verdict == verdict && verdict != VerdictWord::Pass);
        told.for_each(|(scenario, case)| cut.add(&section(report, scenario, case)));
    }
    cut.end()
}

/// Text that takes pieces as long as they fit.
struct Cut {
    text: String,
    limit: usize,
    left_out: u64,
}

/// Room for the line that says what was left out.
const NOTE: usize = 120;

impl Cut {
    fn add(&mut self, piece: &str) {
        // Once a piece was left out, the smaller ones after it are too: what is there is a beginning.
        if self.left_out > 0 || self.text.len() + piece.len() + NOTE > self.limit {
            self.left_out += 1;
        } else {
            self.text.push_str(piece);
        }
    }

    fn end(mut self) -> String {
        if self.left_out > 0 {
            let note =
                format!("\n_{} left out here; report.json has everything._\n", number(self.left_out, "more part"));
            if self.text.len() + note.len() <= self.limit {
                self.text.push_str(&note);
            }
        }
        self.text
    }
}

fn headline(report: &Report) -> String {
    let verdict = RunVerdict::from(report.verdict);
    let Run { id, seed, machine, git, .. } = &report.run;
    let git = git.as_ref().map_or(String::new(), |git| {
        let sha: String = git.sha.chars().take(7).collect();
        format!(", {}", code(&format!("{}@{sha}", git.branch)))
    });
    format!(
        "## deadheat: {verdict}\n\n{} (exit code {})\n\nrun {}, seed {seed}{git}, {}\n",
        sum(report),
        verdict.exit_code(),
        code(id),
        number(machine.cores, "core")
    )
}

fn row(case: &CaseReport) -> String {
    let race = &case.race;
    let counts: Vec<String> =
        race.counts.iter().map(|(word, count)| format!("{count} {word}{}", line(&origins(race, *word)))).collect();
    let all = &race.attempts.all.since_release;
    let time = |value: Option<u64>| value.map_or_else(|| "too few".to_owned(), ns);
    let caught = case.controls.iter().filter(|control| control.verdict == ControlVerdictWord::Caught).count();
    let controls = match case.controls.len() {
        0 => String::new(),
        controls => format!("{caught} of {controls} caught"),
    };
    format!(
        "| {} | {} | {} | {} | {} | {} | {} | {controls} |\n",
        verdict_word(case.verdict),
        cell_code(&case.id),
        race.rounds,
        race.workers,
        counts.join(", "),
        time(all.p50),
        time(all.p99),
    )
}

fn growth_line(growth: &GrowthReport) -> String {
    let check = growth_check(growth);
    let said = match &check.compared {
        _ if !check.message.is_empty() => format!(": {}", check.message),
        Some((expected, observed)) => format!(": {observed}, expected {expected}"),
        None => String::new(),
    };
    format!("\n{} {}{}\n", verdict_word(check.verdict), code(&check.title()), line(&said))
}

/// What a case that did not pass has to say.
fn section(report: &Report, scenario: &ScenarioReport, case: &CaseReport) -> String {
    let mut text = format!("\n### {} {}\n\n", verdict_word(case.verdict), code(&case.id));
    case.reasons.iter().for_each(|reason| text.push_str(&format!("- {}\n", line(reason))));
    let checks = case_checks(case);
    let failed = checks.iter().filter(|check| check.verdict == VerdictWord::Fail && check.kind != "control");
    for check in failed {
        let place = check.place.as_ref().map(|place| format!(" ({})", code(place))).unwrap_or_default();
        text.push_str(&format!("- {}: {}{place}\n", code(&check.title()), line(&check.message)));
    }
    let repeat = repeat_command(&report.run, &scenario.file, &case.id);
    text.push_str(&fenced("sh", &repeat));
    let telling = |verdict| case.race.kept.iter().find(|kept| kept.verdict == verdict);
    if let Some(kept) = telling(VerdictWord::Fail).or_else(|| telling(VerdictWord::Inconclusive)) {
        let round = round_lines(kept, &report.run, Style { colour: false }).join("\n");
        let round = fenced("text", &round);
        text.push_str(&format!("\n<details><summary>round {}</summary>\n{round}\n</details>\n", kept.round));
    }
    text
}

fn verdict_word(verdict: VerdictWord) -> &'static str {
    match verdict {
        VerdictWord::Pass => "pass",
        VerdictWord::Inconclusive => "**inconclusive**",
        VerdictWord::Fail => "**FAIL**",
    }
}

/// A code block whose fence is longer than any run of backquotes in it.
fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("\n{fence}{language}\n{}\n{fence}\n", text.trim_matches('\n'))
}

/// A code span outside of tables, where a backslash before `|` would be shown.
fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    let padding = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{padding}{}{padding}{fence}", one_line(text))
}

/// A code span in a cell of a table.
fn cell_code(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

/// Text in a line of its own: no markup of HTML, no line breaks.
fn line(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('<', "&lt;")
}

/// Text in a cell of a table.
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    #[test]
    fn a_passing_run_is_a_table() {
        insta::assert_snapshot!("summary_pass", summary(&example::report(), LIMIT));
    }

    #[test]
    fn failures_come_with_a_round_and_a_command() {
        insta::assert_snapshot!("summary_fail", summary(&example::failing_report(), LIMIT));
    }

    #[test]
    fn what_does_not_fit_is_left_out_as_a_whole() {
        let mut report = example::failing_report();
        let case = report.scenarios[0].cases[0].clone();
        report.scenarios[0].cases = vec![case; 1_000];
        let whole = summary(&report, usize::MAX);
        assert!(whole.len() > LIMIT, "{}", whole.len());
        for limit in [LIMIT, 20_000, 900, 600, 0] {
            let cut = summary(&report, limit);
            assert!(cut.len() <= limit, "{} > {limit}", cut.len());
            let pieces = cut.rsplit_once("\n_").map_or(cut.as_str(), |(pieces, _)| pieces);
            assert!(whole.starts_with(pieces), "{cut}");
            assert_eq!(cut.matches("<details>").count(), cut.matches("</details>").count());
            assert!(limit < 600 || cut.contains("left out here; report.json has everything"), "{cut}");
        }
    }

    #[test]
    fn a_bar_is_escaped_in_tables_and_nowhere_else() {
        let mut report = example::failing_report();
        report.scenarios[0].cases[0].id = "race[a=x|y]".to_owned();
        let text = summary(&report, LIMIT);
        assert!(text.contains("| **FAIL** | `race[a=x\\|y]` |"), "{text}");
        assert!(text.contains("### **FAIL** `race[a=x|y]`\n"), "{text}");
    }

    #[test]
    fn markup_in_names_stays_text() {
        assert_eq!((code("a|b`c"), cell_code("a|b`c")), ("``a|b`c``".to_owned(), "``a\\|b`c``".to_owned()));
        assert_eq!(cell("<b>|\nx"), "&lt;b>\\| x");
        assert_eq!(fenced("text", "````"), "\n`````text\n````\n`````\n");
    }
}
