//! A report's checks one by one, each with what it proved: what JUnit, job summaries and annotations list.

use std::borrow::Cow;

use crate::measure::more_rounds;

use super::schema::*;
use super::words::{name_of, ns, number, shortened};

/// What one check of a case, or a growth check of a scenario, proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckResult {
    /// What kind of check: `race`, `expect`, `invariant`, `latency`, `sometimes`, `control`, `growth`.
    pub(super) kind: &'static str,
    /// Its name among its kind, such as `success`, or `remover: success` of a group; empty for `race`.
    pub(super) name: String,
    /// What it proved.
    pub(super) verdict: VerdictWord,
    /// Why that is not a pass, in one line; empty for a pass.
    pub(super) message: String,
    /// What was expected and observed, if the check compares two such things.
    pub(super) compared: Option<(String, String)>,
    /// The first round that shows it.
    pub(super) round: Option<u64>,
    /// `file:line:column`.
    pub(super) place: Option<String>,
}

impl CheckResult {
    /// `expect success`, `invariant one event stored`, `race`.
    pub(super) fn title(&self) -> String {
        format!("{} {}", self.kind, self.name).trim_end().to_owned()
    }

    fn new(kind: &'static str, name: impl Into<String>, verdict: VerdictWord, place: Option<&String>) -> Self {
        let (name, place) = (name.into(), place.cloned());
        CheckResult { kind, name, verdict, message: String::new(), compared: None, round: None, place }
    }

    /// Adds what was expected and observed, in which round, and in how many of all rounds.
    fn broken(
        mut self,
        evidence: Option<(&RoundReport, &FailureReport)>,
        guess: (&str, String),
        rounds: (u64, u64),
    ) -> Self {
        let (expected, observed) = match evidence {
            Some((_, failure)) => (failure.expected.clone(), shortened(&failure.observed, 200)),
            None => (guess.0.to_owned(), guess.1),
        };
        let round = evidence.map(|(round, _)| format!(" in round {}", name_of(round))).unwrap_or_default();
        let (broken, raced) = rounds;
        self.message = format!(
            "expected {expected}, observed {observed}{round}; broken in {broken} of {}",
            number(raced, "round")
        );
        self.compared = Some((expected, observed));
        self.round = evidence.map(|(round, _)| round.round);
        self.place = evidence.and_then(|(_, failure)| failure.place.clone()).or(self.place);
        self
    }
}

/// The checks of a case: whether its race proved anything, then what was expected, then its controls.
pub(super) fn case_checks(case: &CaseReport) -> Vec<CheckResult> {
    let race = &case.race;
    let mut whole = CheckResult::new("race", "", VerdictWord::Pass, None);
    if case.verdict == VerdictWord::Inconclusive {
        whole.verdict = VerdictWord::Inconclusive;
        whole.message = case.reasons.join("; ");
    }
    let mut results = vec![whole];
    // What is not expected to be anything cannot fail; a crash can all the same.
    let expected = race.expectations.iter().filter(|row| row.expected != "any" || row.rounds_broken > 0);
    results.extend(expected.map(|row| expectation(row, race)));
    results.extend(race.invariants.iter().map(|it| invariant(it, race)));
    results.extend(race.latency_bounds.iter().map(|bound| latency(bound, race.rounds)));
    results.extend(race.sometimes.iter().map(|it| sometimes(it, race)));
    results.extend(case.controls.iter().map(control));
    results
}

fn verdict(holds: bool) -> VerdictWord {
    if holds { VerdictWord::Pass } else { VerdictWord::Fail }
}

fn expectation(row: &ExpectationRow, race: &Race) -> CheckResult {
    let word = row.outcome;
    let group = row.group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
    let result =
        CheckResult::new("expect", format!("{group}{word}"), verdict(row.rounds_broken == 0), row.place.as_ref());
    if row.rounds_broken == 0 {
        return result;
    }
    let evidence = failures(race).find(|(_, failure)| {
        failure.kind == FailureKindWord::Count && failure.group == row.group && failure.check == word.as_str()
    });
    let observed = if row.least == row.most { row.least.to_string() } else { format!("{}..={}", row.least, row.most) };
    result.broken(evidence, (&row.expected, observed), (row.rounds_broken, race.rounds))
}

fn invariant(invariant: &InvariantReport, race: &Race) -> CheckResult {
    let InvariantReport { name, that, broken, unevaluated, undecided, .. } = invariant;
    let failed = broken + unevaluated.saturating_sub(*undecided);
    let result = CheckResult::new("invariant", name, verdict(failed == 0), invariant.place.as_ref());
    if failed == 0 {
        return result;
    }
    let evidence = failures(race).find(|(_, failure)| failure.kind != FailureKindWord::Count && failure.check == *name);
    let observed = if *broken > 0 { "something else" } else { "that it could not be evaluated" };
    result.broken(evidence, (that, observed.to_owned()), (failed, race.rounds))
}

fn latency(bound: &LatencyBoundReport, rounds: u64) -> CheckResult {
    let mut result = CheckResult::new("latency", &bound.key, bound.verdict, bound.place.as_ref());
    let at_most = format!("at most {}", ns(bound.at_most_ns));
    if let Some(observed) = bound.observed_ns.map(ns) {
        if bound.verdict != VerdictWord::Pass {
            result.message = format!("expected {at_most}, observed {observed}");
        }
        result.compared = Some((at_most, observed));
    } else {
        let LatencyBoundReport { operations, needed, .. } = bound;
        let remedy = more_rounds(rounds, *operations, *needed);
        result.message = format!("needs {}, and {operations} were measured; {remedy}", number(*needed, "operation"));
    }
    result
}

fn sometimes(check: &SometimesReport, race: &Race) -> CheckResult {
    let SometimesReport { outcome, expected, rounds } = check;
    let verdict = match rounds {
        0 if race.rounds < race.rounds_planned => VerdictWord::Inconclusive,
        0 => VerdictWord::Fail,
        _ => VerdictWord::Pass,
    };
    let mut result = CheckResult::new("sometimes", outcome.as_str(), verdict, None);
    if *rounds == 0 {
        result.message = format!("none of {} had {expected} {outcome}", number(race.rounds, "round"));
    }
    result
}

fn control(control: &ControlReport) -> CheckResult {
    let caught = matches!(control.verdict, ControlVerdictWord::Caught | ControlVerdictWord::AwaitsGrowth);
    let verdict = match control.verdict {
        ControlVerdictWord::Disturbed => VerdictWord::Inconclusive,
        _ => verdict(caught),
    };
    let mut result = CheckResult::new("control", &control.name, verdict, control.place.as_ref());
    result.round = control.round;
    let rounds = number(control.race.rounds, "round");
    match control.verdict {
        ControlVerdictWord::Caught | ControlVerdictWord::AwaitsGrowth => {}
        ControlVerdictWord::Survived => {
            let wanted = format!("{} to break, since {}", control.breaks.join(" or "), control.why);
            let broke = control.reason.as_ref().map(|reason| format!("; {reason}")).unwrap_or_default();
            result.message = format!("not caught in {rounds}: expected {wanted}{broke}");
        }
        ControlVerdictWord::Disturbed => {
            let reason = control.reason.as_deref().unwrap_or_default();
            result.message = format!("not caught, and rounds were disturbed: {reason}");
        }
        ControlVerdictWord::Invalid => {
            let round = control.round.map(|round| format!("in round {round} ")).unwrap_or_default();
            let reason = control.reason.as_deref().unwrap_or("it could not be judged");
            result.message = format!("invalid and proves nothing: {round}{reason}");
        }
    }
    result
}

/// One growth check.
pub(super) fn growth_check(growth: &GrowthReport) -> CheckResult {
    let mut held: Vec<String> = growth.others.iter().map(|(axis, value)| format!("{axis}={}", plain(value))).collect();
    held.extend(growth.control.iter().map(|control| format!("control {control}")));
    let held = if held.is_empty() { String::new() } else { format!(" [{}]", held.join(",")) };
    let name = format!("{}{held}", growth.name);
    let mut result = CheckResult::new("growth", name, growth.verdict, growth.place.as_ref());
    result.message = growth.reason.clone().unwrap_or_default();
    let wanted = if growth.control.is_some() { "above" } else { "at most" };
    result.compared =
        growth.exponent.map(|found| (format!("exponent {wanted} {}", growth.at_most), format!("exponent {found:.2}")));
    result
}

/// The failures of all kept rounds, each with its round.
fn failures(race: &Race) -> impl Iterator<Item = (&RoundReport, &FailureReport)> {
    race.kept.iter().flat_map(|kept| kept.failures.iter().map(move |failure| (kept, failure)))
}

/// A JSON value as people write it: text without quotes.
pub(super) fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The command that races a case again with the same choices: what narrowed or changed the run is kept, but for logins.
pub(super) fn repeat_command(run: &Run, file: &str, case: &str) -> String {
    let mut words = vec!["deadheat", "run", file];
    let mut arguments = run.command.iter().map(String::as_str);
    while let Some(argument) = arguments.next() {
        if let "--param" | "--rounds" | "--target" = argument {
            words.push(argument);
            words.extend(arguments.next());
        } else if argument == "--allow-remote"
            || ["--param=", "--rounds=", "--target="].iter().any(|flag| argument.starts_with(flag))
        {
            words.push(argument);
        }
    }
    let seed = run.seed.to_string();
    words.extend(["--filter", case, "--seed", &seed]);
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

/// A word as a POSIX shell reads it back.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::example;

    fn lines(case: &CaseReport) -> Vec<String> {
        let line = |it: CheckResult| {
            let verdict = crate::judge::Verdict::from(it.verdict);
            let place = it.place.as_ref().map(|place| format!(" at {place}")).unwrap_or_default();
            format!("{}: {verdict} {}{place}", it.title(), it.message)
        };
        case_checks(case).into_iter().map(line).collect()
    }

    #[test]
    fn every_check_is_listed_with_what_it_proved() {
        let failing = example::case(&["1 success, 2 conflict", "2 success, 1 conflict"], &["1 success, 2 conflict"; 4]);
        assert_eq!(
            lines(&failing),
            [
                "race: pass ",
                "expect success: fail expected 1, observed 2 in round 1; broken in 1 of 2 rounds at race.toml:9:1",
                "expect conflict: fail expected 2, observed 1 in round 1; broken in 1 of 2 rounds at race.toml:9:1",
                "invariant one event stored: pass  at race.toml:12:1",
                "latency append.p50: pass  at race.toml:14:1",
                "control no guard: fail not caught in 4 rounds: expected success or one event stored to break, since nothing holds the others back at race.toml:20:1",
            ]
        );
        let unknown = example::case(&["1 success, 1 conflict, 1 crash"], &["2 success, 1 crash"]);
        let found = lines(&unknown);
        assert!(found.contains(
            &"expect crash: fail expected 0, observed 1 in round 0; broken in 1 of 1 round at race.toml:9:1".to_owned()
        ));
        assert!(
            found.last().unwrap().starts_with("control no guard: fail invalid and proves nothing: in round 0 1 of 3")
        );
    }

    #[test]
    fn the_command_that_repeats_a_case_keeps_what_changed_it() {
        let mut run = example::run();
        run.command =
            "deadheat run scenarios --param writers=3 --rounds=7 --tag smoke".split(' ').map(str::to_owned).collect();
        assert_eq!(
            repeat_command(&run, "it's/race.toml", "race[backend=memory]"),
            r"deadheat run 'it'\''s/race.toml' --param writers=3 --rounds=7 --filter 'race[backend=memory]' --seed 42"
        );
    }
}
