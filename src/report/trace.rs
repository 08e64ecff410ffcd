//! A round as a picture: one lane per worker over a common time axis, in characters that are one column wide.
//!
//! ```text
//!   0                                              2.41 ms
//!   |-----------------^-----------------------------------|
//!                     both-read
//! 0 |read=============|write==============|                 success
//! 1 |read=====........|write=============================|  deadlock in write 40P01
//! ```

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::schema::{ArrivalWord, AttemptReport, CauseWord, OutcomeWord, RoundReport};
use super::terminal::{Role, Style};
use super::words::{ns, number, shortened};

/// Columns of the time axis.
const WIDTH: usize = 56;
/// The most lanes drawn.
const LANES: usize = 12;

/// The trace of a round: its axis, its barriers, its lanes, and what broke a barrier.
pub(super) fn trace(round: &RoundReport, style: Style) -> Vec<String> {
    let Some(scale) = Scale::of(round) else { return Vec::new() };
    let (shown, hidden) = choose(&round.attempts);
    let names: Vec<String> = shown.iter().map(|attempt| format!("{} {}", attempt.group, attempt.worker)).collect();
    let margin = names.iter().map(|name| name.chars().count()).max().unwrap_or(0) + 1;
    let mut lines = axis(round, &scale, margin, style);
    for (attempt, name) in shown.iter().zip(&names) {
        let role = if attempt.outcome == OutcomeWord::Success { Role::Good } else { Role::Strong };
        let end = style.paint(role, attempt.outcome);
        lines.push(format!("{name:margin$}{} {end}{}", lane(round, attempt, &scale), remarks(round, attempt)));
    }
    if !hidden.is_empty() {
        let sorts = count_sorts(&hidden);
        lines.push(
            style.paint(Role::Faint, format!("{:margin$}{}: {sorts}", "", number(hidden.len() as u64, "more worker"))),
        );
    }
    lines.extend(missing(round));
    lines
}

/// Times to columns.
struct Scale {
    from_ns: u64,
    to_ns: u64,
}

impl Scale {
    /// From the first start to the last end.
    fn of(round: &RoundReport) -> Option<Scale> {
        let from_ns = round.attempts.iter().map(|attempt| attempt.started_ns.min(attempt.released_ns)).min()?;
        let to_ns = round.attempts.iter().map(|attempt| attempt.ended_ns).max()?;
        Some(Scale { from_ns, to_ns: to_ns.max(from_ns + 1) })
    }

    /// The columns between two times: at least one.
    fn columns(&self, from_ns: u64, to_ns: u64) -> RangeInclusive<usize> {
        let from = self.column(from_ns);
        from..=self.column(to_ns).max(from)
    }

    fn column(&self, at_ns: u64) -> usize {
        let offset = at_ns.clamp(self.from_ns, self.to_ns) - self.from_ns;
        (offset as f64 / (self.to_ns - self.from_ns) as f64 * (WIDTH - 1) as f64).round() as usize
    }
}

/// The axis with its barriers' releases.
fn axis(round: &RoundReport, scale: &Scale, margin: usize, style: Style) -> Vec<String> {
    let end = ns(scale.to_ns - scale.from_ns);
    let ruler = format!("{:margin$}0{end:>width$}", "", width = WIDTH - 1);
    let mut line = vec!['-'; WIDTH];
    (line[0], line[WIDTH - 1]) = ('|', '|');
    let mut names = String::new();
    for barrier in &round.barriers {
        let Some(released_ns) = barrier.released_ns.filter(|at| *at > scale.from_ns) else { continue };
        let column = scale.column(released_ns);
        line[column] = '^';
        // Names stand under their marks as long as they do not run into each other.
        let taken = names.chars().count();
        let gap = if taken == 0 { column } else { column.max(taken + 1) };
        names = format!("{names:gap$}{}", barrier.name);
    }
    let line: String = line.into_iter().collect();
    let mut lines = vec![ruler, format!("{:margin$}{line}", "")];
    if !names.is_empty() {
        lines.push(format!("{:margin$}{names}", ""));
    }
    lines.into_iter().map(|line| style.paint(Role::Faint, line)).collect()
}

/// One worker: steps as bars that carry their names, waiting as dots, blocked waiting as `~`.
fn lane(round: &RoundReport, attempt: &AttemptReport, scale: &Scale) -> String {
    let mut cells = vec![' '; WIDTH];
    let whole = scale.columns(attempt.started_ns, attempt.ended_ns);
    cells[whole.clone()].fill('.');
    for step in &attempt.steps {
        let bar = &mut cells[scale.columns(step.started_ns, step.ended_ns)];
        bar.fill('=');
        bar[0] = '|';
        for (cell, letter) in bar[1..].iter_mut().zip(step.step.chars().filter(char::is_ascii)) {
            *cell = letter;
        }
    }
    for barrier in &round.barriers {
        let blocked = barrier.arrivals.iter().find(|it| it.worker == attempt.worker && it.how == ArrivalWord::Blocked);
        if let (Some(arrival), Some(released_ns)) = (blocked, barrier.released_ns) {
            for cell in &mut cells[scale.columns(arrival.at_ns, released_ns)] {
                if *cell == '=' {
                    *cell = '~';
                }
            }
        }
    }
    cells[*whole.end()] = '|';
    cells.into_iter().collect()
}

/// Where and why an attempt ended, and which workers it waited for.
fn remarks(round: &RoundReport, attempt: &AttemptReport) -> String {
    let mut text = String::new();
    if let Some(step) = &attempt.step {
        text.push_str(&format!(" in {step}"));
    }
    let cause = attempt.ended_by();
    // Our own words for a code say no more than the outcome does, or than the message that follows.
    let says_no_more = matches!(cause, Some(CauseWord::Assertion | CauseWord::Barrier | CauseWord::Rows));
    if !says_no_more && !attempt.code.is_empty() && attempt.outcome != OutcomeWord::Duplicate {
        text.push_str(&format!(" {}", attempt.code));
    }
    // How many rows there were is not to be guessed from the outcome, whichever the scenario chose for it.
    if cause == Some(CauseWord::Rows) {
        text.push_str(&format!(": {}", shortened(&attempt.message, 70)));
    } else if matches!(
        attempt.outcome,
        OutcomeWord::Crash | OutcomeWord::Unknown | OutcomeWord::Disconnected | OutcomeWord::Rejected
    ) {
        text.push_str(&format!(" {}", shortened(&attempt.message, 70)));
    }
    for barrier in &round.barriers {
        let arrivals =
            barrier.arrivals.iter().filter(|it| it.worker == attempt.worker && it.how == ArrivalWord::Blocked);
        for arrival in arrivals {
            let chain: Vec<String> = arrival.by.iter().map(u64::to_string).collect();
            text.push_str(&format!(", waited for {} at {}", chain.join(" -> "), barrier.name));
        }
    }
    text
}

/// The attempts worth a lane: all of them, or the rarest sorts first. The second list holds the others.
fn choose(attempts: &[AttemptReport]) -> (Vec<&AttemptReport>, Vec<&AttemptReport>) {
    let sort =
        |attempt: &AttemptReport| (attempt.group.clone(), attempt.outcome, attempt.step.clone(), attempt.code.clone());
    let mut sizes = BTreeMap::new();
    for attempt in attempts {
        *sizes.entry(sort(attempt)).or_insert(0_usize) += 1;
    }
    let mut chosen: Vec<&AttemptReport> = attempts.iter().collect();
    if attempts.len() > LANES {
        // Within a sort, the first few stand for the others; a common sort must not crowd out a rare one.
        let mut seen = BTreeMap::new();
        chosen.sort_by_cached_key(|attempt| {
            let place = seen.entry(sort(attempt)).or_insert(0_usize);
            *place += 1;
            (*place > 3, sizes[&sort(attempt)], sort(attempt), *place)
        });
    }
    let hidden = chosen.split_off(chosen.len().min(LANES));
    (chosen, hidden)
}

/// `40 success, 2 conflict`.
fn count_sorts(attempts: &[&AttemptReport]) -> String {
    let mut counts: BTreeMap<OutcomeWord, u64> = BTreeMap::new();
    attempts.iter().for_each(|attempt| *counts.entry(attempt.outcome).or_default() += 1);
    let counts: Vec<String> = counts.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
    counts.join(", ")
}

/// Who a broken barrier waited for in vain.
pub(super) fn missing(round: &RoundReport) -> Vec<String> {
    let mut lines = Vec::new();
    for barrier in &round.barriers {
        for missing in &barrier.missing {
            let step =
                missing.step.as_ref().map(|step| format!(", in {step} for {}", ns(missing.for_ns))).unwrap_or_default();
            let holders = match missing.waits_for.as_slice() {
                [] => String::new(),
                holders => format!(", waiting for {}", holders.join(", ")),
            };
            lines.push(format!(
                "barrier `{}` broke: worker {} was missing{step}{holders}",
                barrier.name, missing.worker
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::schema::*;

    const PLAIN: Style = Style { colour: false };

    fn step(step: &str, started: u64, ended: u64, outcome: OutcomeWord) -> StepRoundReport {
        let micros = |value| value * 1_000;
        StepRoundReport {
            step: step.to_owned(),
            outcome,
            started_ns: micros(started),
            ended_ns: micros(ended),
            released_ns: 0,
            request: None,
            result: None,
            end: None,
        }
    }

    fn attempt(worker: u64, outcome: OutcomeWord, ended: u64, steps: Vec<StepRoundReport>) -> AttemptReport {
        let failed = steps.last().filter(|_| outcome != OutcomeWord::Success);
        AttemptReport {
            worker,
            group: "adder".to_owned(),
            outcome,
            step: failed.map(|step| step.step.clone()),
            cause: None,
            code: if outcome == OutcomeWord::Deadlock { "40P01".to_owned() } else { String::new() },
            message: String::new(),
            started_ns: worker * 2_000,
            ended_ns: ended * 1_000,
            released_ns: 0,
            steps,
        }
    }

    fn round(attempts: Vec<AttemptReport>, barriers: Vec<BarrierRoundReport>) -> RoundReport {
        RoundReport {
            round: 3,
            since_setup: None,
            verdict: VerdictWord::Fail,
            failures: Vec::new(),
            inconclusive: None,
            counts: Counts::new(),
            overlap: 2,
            makespan_ns: 0,
            attempts,
            barriers,
            invariants: Vec::new(),
        }
    }

    fn arrival(worker: u64, how: ArrivalWord, at: u64, by: Vec<u64>) -> ArrivalReport {
        ArrivalReport { worker, how, at_ns: at * 1_000, by }
    }

    #[test]
    fn a_deadlock_shows_who_waited_for_whom() {
        use OutcomeWord::{Deadlock, Success};
        let barrier = BarrierRoundReport {
            name: "locked".to_owned(),
            released_ns: Some(900_000),
            skew_ns: 2_000,
            arrivals: vec![
                arrival(0, ArrivalWord::Arrived, 400, vec![]),
                arrival(2, ArrivalWord::Arrived, 500, vec![]),
                arrival(1, ArrivalWord::Blocked, 800, vec![2, 0]),
            ],
            missing: Vec::new(),
        };
        let attempts = vec![
            attempt(0, Success, 1_900, vec![step("lock", 0, 400, Success), step("insert", 900, 1_800, Success)]),
            attempt(1, Deadlock, 2_400, vec![step("lock", 2, 2_300, Deadlock)]),
            attempt(2, Success, 1_500, vec![step("lock", 4, 500, Success), step("insert", 905, 1_490, Success)]),
        ];
        insta::assert_snapshot!(trace(&round(attempts, vec![barrier]), PLAIN).join("\n"));
    }

    #[test]
    fn a_broken_barrier_names_the_missing() {
        use OutcomeWord::{BrokenBarrier, Timeout};
        let barrier = BarrierRoundReport {
            name: "both-read".to_owned(),
            released_ns: None,
            skew_ns: 0,
            arrivals: vec![arrival(0, ArrivalWord::Arrived, 1_000, vec![])],
            missing: vec![MissingReport {
                worker: 1,
                step: Some("read".to_owned()),
                for_ns: 4_980_000_000,
                waits_for: vec!["pid 4711 (autovacuum)".to_owned()],
            }],
        };
        let attempts = vec![
            attempt(0, BrokenBarrier, 5_000_000, vec![step("read", 0, 1_000, OutcomeWord::Success)]),
            attempt(1, Timeout, 5_000_000, vec![step("read", 10, 5_000_000, Timeout)]),
        ];
        insta::assert_snapshot!(trace(&round(attempts, vec![barrier]), PLAIN).join("\n"));
    }

    #[test]
    fn rows_that_were_not_met_are_told_whatever_the_outcome() {
        for outcome in [OutcomeWord::Conflict, OutcomeWord::Rejected] {
            let mut refused = attempt(0, outcome, 2_000, vec![step("write", 0, 1_900, outcome)]);
            (refused.code, refused.message) = ("rows".to_owned(), "0 rows, wanted 1".to_owned());
            let lines = trace(&round(vec![refused], Vec::new()), PLAIN);
            let end = format!("{outcome} in write: 0 rows, wanted 1");
            assert!(lines[2].ends_with(&end), "{}", lines[2]);
        }
    }

    #[test]
    fn of_many_workers_the_rare_ones_have_lanes() {
        use OutcomeWord::{Conflict, Success};
        let attempts = (0..50)
            .map(|worker| {
                let outcome = if [17, 31].contains(&worker) { Success } else { Conflict };
                attempt(worker, outcome, 1_000 + worker, vec![step("append", 2 * worker, 990 + worker, outcome)])
            })
            .collect();
        let lines = trace(&round(attempts, Vec::new()), PLAIN);
        insta::assert_snapshot!(lines.join("\n"));
        assert_eq!(lines.iter().filter(|line| line.starts_with("adder")).count(), LANES);
    }
}
