//! How numbers and sums are said, the same in every form of a report.

use std::time::Duration;

use crate::judge::{duration, round_name};

use super::schema::*;

/// What became of the run's cases: `18 cases in 14.2 s: 16 passed, 2 failed`.
pub(super) fn sum(report: &Report) -> String {
    let cases: Vec<&CaseReport> = report.scenarios.iter().flat_map(|scenario| &scenario.cases).collect();
    let count = |verdict| cases.iter().filter(|case| case.verdict == verdict).count();
    let others = [
        (count(VerdictWord::Fail), "failed"),
        (count(VerdictWord::Inconclusive), "inconclusive"),
        (report.skipped.len(), "skipped"),
        (report.not_raced.len(), "not raced"),
    ];
    let mut parts = vec![format!("{} passed", count(VerdictWord::Pass))];
    parts.extend(others.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")));
    let planned = number((cases.len() + report.skipped.len() + report.not_raced.len()) as u64, "case");
    format!("{planned} in {}: {}", ns(report.run.elapsed_ns), parts.join(", "))
}

/// The cases that the run did not come to: the first ones by name, the others counted.
pub(super) fn not_raced(report: &Report) -> Option<String> {
    const NAMED: usize = 5;
    let (named, others) = report.not_raced.split_at(report.not_raced.len().min(NAMED));
    let more = if others.is_empty() { String::new() } else { format!(", and {} more", others.len()) };
    (!named.is_empty()).then(|| named.join(", ") + &more)
}

/// The counts of one outcome in a round: `1`, or `0..=3` when rounds differ.
pub(super) fn span(row: &ExpectationRow) -> String {
    if row.least == row.most { row.least.to_string() } else { format!("{}..={}", row.least, row.most) }
}

/// ` at commit (23505)`: where attempts ended that did not succeed.
pub(crate) fn ended_at(step: &str, code: &str) -> String {
    let step = if step.is_empty() { String::new() } else { format!(" at {}", one_line(step)) };
    let code = if code.is_empty() { String::new() } else { format!(" ({})", one_line(code)) };
    step + &code
}

/// Where the attempts with an outcome ended, the most frequent first: ` at insert (23505), commit (40001)`; at most three places.
pub(super) fn origins(race: &Race, outcome: OutcomeWord) -> String {
    const MOST: usize = 3;
    let refusals: Vec<&RefusalReport> = race.refusals.iter().filter(|refusal| refusal.outcome == outcome).collect();
    let places: Vec<String> = refusals.iter().take(MOST).map(|it| ended_at(&it.step, &it.code)).collect();
    let mut text = places.join(" or");
    if refusals.len() > MOST || race.other_refusals > 0 && !refusals.is_empty() {
        text.push_str(" or elsewhere");
    }
    text
}

/// What messages call a kept round.
pub(super) fn name_of(round: &RoundReport) -> String {
    round_name(round.round, round.since_setup.unwrap_or(round.round))
}

/// `1 round`, `20 rounds`.
pub(crate) fn number(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Nanoseconds as people read them.
pub(crate) fn ns(nanos: u64) -> String {
    duration(Duration::from_nanos(nanos))
}

/// A space for what is not shown itself but makes a terminal do something: control characters, such as those that begin its commands, and
/// those that turn the direction of the text after them.
pub(crate) fn visible(character: char) -> char {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if turns || character.is_control() { ' ' } else { character }
}

/// A text in one line, whatever is in it.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(visible).collect()
}

/// Lines of which no CI service takes one for a command: GitHub reads `::error::` where a line begins, and `##[error]`
/// anywhere, Azure `##vso[...]`, TeamCity `##teamcity[...]`. Only such words are broken up.
pub(crate) fn without_commands(text: &str) -> String {
    let broken = text.split_inclusive(['\n', '\r']).map(|line| {
        let margin = line.len() - line.trim_start().len();
        match line[margin..].strip_prefix("::") {
            Some(rest) => format!("{}: :{rest}", &line[..margin]),
            None => line.to_owned(),
        }
    });
    let broken: String = broken.collect();
    let mut text = String::with_capacity(broken.len());
    let mut rest = broken.as_str();
    while let Some(at) = rest.find("##") {
        let (before, after) = rest.split_at(at + 1);
        text.push_str(before);
        let word = after[1..].trim_start_matches(|character: char| character.is_ascii_alphanumeric());
        if word.starts_with('[') {
            text.push(' ');
        }
        rest = after;
    }
    text + rest
}

/// At most `limit` characters in one line.
pub(super) fn shortened(text: &str, limit: usize) -> String {
    let line = one_line(text);
    if line.chars().count() <= limit {
        return line;
    }
    let kept: String = line.chars().take(limit.saturating_sub(2)).collect();
    format!("{kept}..")
}

/// A share of 1 in percent: `0.05 %`, `12.5 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 1.0 { format!("{percent:.2} %") } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use super::without_commands;

    #[test]
    fn no_line_is_a_command_of_a_ci_service() {
        let text = "a\n::error::b\r  ::set-output::c\nd ##vso[e] ##[f] ###[g] ##teamcity[h]";
        let wanted = "a\n: :error::b\r  : :set-output::c\nd # #vso[e] # #[f] ## #[g] # #teamcity[h]";
        assert_eq!(without_commands(text), wanted);
        for text in ["a::b ## heading", "x##", "[##..]"] {
            assert_eq!(without_commands(text), text);
        }
    }
}
