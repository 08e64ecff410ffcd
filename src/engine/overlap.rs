//! How many workers of a round were in play at once, and who of them was answered first.
//!
//! A worker is in play from its first request to its last answer. Time at barriers and pause points, in `sleep` steps, in a
//! transaction's BEGIN and in statements that only sleep is left out: workers that only wait at the same time do not race.

use crate::model::record::{Attempt, BarrierRecord, StepAt, StepRecord};
use crate::model::{Action, Case};
use crate::outcome::OutcomeKind;

/// A stretch of time in a round, in nanoseconds since its origin.
pub(super) type Stretch = (u64, u64);

/// The most workers in play at one instant. `parked` has the stretches that each worker was parked at barriers, by worker.
/// A worker that goes out of play at the instant at which another comes into play does not overlap it.
pub(super) fn overlap(case: &Case, attempts: &[Attempt], parked: &[Vec<Stretch>]) -> u64 {
    let stretches = attempts.iter().flat_map(|attempt| in_play(case, attempt, &parked[attempt.worker]));
    let mut edges: Vec<(u64, i64)> = stretches.flat_map(|(from, until)| [(from, 1), (until, -1)]).collect();
    edges.sort_unstable();
    let mut inside = 0i64;
    let mut most = 0;
    for (_, change) in edges {
        inside += change;
        most = most.max(inside);
    }
    u64::try_from(most).unwrap_or(0)
}

/// The stretches in which the worker of `attempt` was in play, ascending.
fn in_play(case: &Case, attempt: &Attempt, parked: &[Stretch]) -> Vec<Stretch> {
    let group = &case.groups[case.workers[attempt.worker].group];
    let pauses = |at| {
        group.step(at).map_or(at == StepAt::Begin, |step| match &step.action {
            Action::Call { .. } => case.request(step).is_some_and(|it| it.request.only_sleeps()),
            Action::Barrier(_) | Action::Sleep(_) => true,
            Action::Assert(_) | Action::Let(_) => false,
        })
    };
    let mut asked = attempt.steps.iter().filter(|step| asks(case, attempt.worker, step.step));
    let Some(first) = asked.next() else { return Vec::new() };
    let until = asked.next_back().unwrap_or(first).ended_ns;
    let paused = attempt.steps.iter().filter(|step| pauses(step.step)).map(|step| (step.started_ns, step.ended_ns));
    let mut gaps: Vec<Stretch> = paused.chain(parked.iter().copied()).collect();
    gaps.sort_unstable();
    let mut stretches = Vec::with_capacity(gaps.len() + 1);
    let mut from = first.started_ns;
    for (gap_from, gap_until) in gaps {
        if from < gap_from.min(until) {
            stretches.push((from, gap_from.min(until)));
        }
        from = from.max(gap_until);
    }
    if from < until {
        stretches.push((from, until));
    }
    stretches
}

/// The worker that was answered first after the last barrier was released: what was answered before that decides no race.
pub(super) fn answered_first(case: &Case, attempts: &[Attempt], barriers: &[BarrierRecord]) -> Option<usize> {
    let released_ns = barriers.iter().filter_map(|barrier| barrier.released_ns).max().unwrap_or(0);
    let is_answer = |attempt: &Attempt, step: &StepRecord| {
        step.ended_ns >= released_ns && asks(case, attempt.worker, step.step) && !is_silence(step.outcome)
    };
    let answers = attempts.iter().flat_map(|attempt| {
        let answers = attempt.steps.iter().filter(move |step| is_answer(attempt, step));
        answers.map(|step| (step.ended_ns, attempt.worker))
    });
    answers.min().map(|(_, worker)| worker)
}

/// Whether an outcome means that there was no answer.
fn is_silence(outcome: OutcomeKind) -> bool {
    matches!(
        outcome,
        OutcomeKind::Unknown | OutcomeKind::Timeout | OutcomeKind::Disconnected | OutcomeKind::BrokenBarrier
    )
}

/// Whether a step of `worker` asks a target for something, and does not only sleep there. The BEGIN of a transaction asks for
/// nothing that others could want as well: it waits for nobody, and takes no snapshot.
pub(super) fn asks(case: &Case, worker: usize, at: StepAt) -> bool {
    match case.groups[case.workers[worker].group].step(at) {
        Some(step) => case.request(step).is_some_and(|it| !it.request.only_sleeps()),
        None => at == StepAt::Commit,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::expression::Template;
    use crate::judge::fixture::{TestCase, place};
    use crate::model::record::StepRecord;
    use crate::model::{Save, Step};
    use crate::outcome::OutcomeKind;
    use crate::value::Value;

    /// What the steps of the one group are: `ask`, `barrier`, `sleep`, or the text of a statement.
    fn case(workers: usize, steps: &[&str]) -> Case {
        let mut requests = Vec::new();
        let step = |word: &&str| Step {
            name: (*word).to_owned(),
            action: match *word {
                "barrier" => Action::Barrier(0),
                "sleep" => Action::Sleep(Template::Literal(Value::text("1s"))),
                text => {
                    requests.push(crate::judge::fixture::statement(text));
                    Action::Call { target: 0, request: requests.len() - 1 }
                }
            },
            rows: None,
            otherwise: OutcomeKind::Conflict,
            unfit: OutcomeKind::Crash,
            save: Save::Nothing,
            timeout: Duration::from_secs(10),
            place: place(5),
        };
        let steps = steps.iter().map(step).collect();
        TestCase::new(workers)
            .change(|case| {
                case.groups[0].steps = steps;
                case.targets[0].requests = requests;
            })
            .build()
    }

    /// An attempt whose steps took these times, one after the other in the order of the group.
    fn attempt(worker: usize, steps: &[Stretch]) -> Attempt {
        let record = |(step, (started_ns, ended_ns)): (usize, &Stretch)| StepRecord {
            step: StepAt::step(step),
            started_ns: *started_ns,
            ended_ns: *ended_ns,
            released_ns: 0,
            outcome: OutcomeKind::Success,
            has_prepared: false,
        };
        let mut attempt = Attempt::new(worker);
        attempt.steps = steps.iter().enumerate().map(record).collect();
        attempt
    }

    fn most(case: &Case, attempts: &[Attempt]) -> u64 {
        overlap(case, attempts, &vec![Vec::new(); attempts.len()])
    }

    #[test]
    fn overlap_counts_workers_that_are_in_play_at_once() {
        let case = case(3, &["ask"]);
        assert_eq!(most(&case, &[]), 0);
        assert_eq!(most(&case, &[attempt(0, &[(0, 10)]), attempt(1, &[(10, 20)])]), 1, "one after the other");
        assert_eq!(most(&case, &[attempt(0, &[(0, 10)]), attempt(1, &[(5, 20)]), attempt(2, &[(9, 11)])]), 3);
        assert_eq!(most(&case, &[attempt(0, &[(0, 3)]), attempt(1, &[(1, 2)]), attempt(2, &[(4, 9)])]), 2);
    }

    #[test]
    fn a_worker_that_sleeps_or_waits_is_not_in_play() {
        for pause in ["sleep", "barrier", "SELECT pg_sleep(1)"] {
            let before = case(2, &[pause, "ask"]);
            let attempts = [attempt(0, &[(0, 10), (10, 20)]), attempt(1, &[(0, 30), (30, 40)])];
            assert_eq!(most(&before, &attempts), 1, "{pause} before the request");
            let between = case(2, &["ask", pause, "ask"]);
            let attempts = [attempt(0, &[(0, 5), (5, 50), (50, 60)]), attempt(1, &[(10, 20), (20, 30), (30, 40)])];
            assert_eq!(most(&between, &attempts), 1, "{pause} between two requests");
            let attempts = [attempt(0, &[(0, 5), (5, 50), (50, 60)]), attempt(1, &[(10, 20), (20, 30), (30, 51)])];
            assert_eq!(most(&between, &attempts), 2, "the last requests meet");
            let after = case(2, &["ask", pause]);
            let attempts = [attempt(0, &[(0, 5), (5, 50)]), attempt(1, &[(10, 20), (20, 30)])];
            assert_eq!(most(&after, &attempts), 1, "{pause} after the last answer");
        }
    }

    #[test]
    fn a_worker_whose_transaction_only_began_is_not_in_play() {
        let case = case(2, &["barrier", "ask"]);
        let mut begun = attempt(1, &[(10, 20), (20, 50), (50, 60), (60, 70)]);
        for (record, step) in
            begun.steps.iter_mut().zip([StepAt::Begin, StepAt::Step(0), StepAt::Step(1), StepAt::Commit])
        {
            record.step = step;
        }
        let mut attempts = [attempt(0, &[(0, 0), (0, 40)]), begun];
        assert_eq!(most(&case, &attempts), 1, "one after the other, whenever its transaction began");
        attempts[0].steps[1].ended_ns = 65;
        assert_eq!(most(&case, &attempts), 2);
        attempts[0] = attempt(0, &[(0, 0), (62, 90)]);
        assert_eq!(most(&case, &attempts), 2, "a COMMIT may wait for others, and fail because of them");
        attempts[1].steps.truncate(1);
        assert_eq!(most(&case, &attempts), 1);
    }

    #[test]
    fn a_worker_parked_at_a_pause_point_is_not_in_play_until_it_runs_on() {
        let case = case(2, &["ask"]);
        let attempts = [attempt(0, &[(0, 40)]), attempt(1, &[(10, 30)])];
        assert_eq!(overlap(&case, &attempts, &[vec![(5, 35)], vec![]]), 1);
        assert_eq!(overlap(&case, &attempts, &[vec![(5, 25)], vec![]]), 2);
        assert_eq!(overlap(&case, &attempts, &[vec![(5, u64::MAX)], vec![(12, 29)]]), 1, "a barrier that broke");
    }

    #[test]
    fn the_first_answer_after_the_last_release_is_the_one_that_counts() {
        let released = |released_ns| vec![BarrierRecord { released_ns, ..BarrierRecord::default() }];
        let case = case(3, &["ask", "barrier", "ask"]);
        let mut attempts = [
            attempt(0, &[(0, 5), (5, 30), (30, 60)]),
            attempt(1, &[(0, 9), (9, 30), (30, 50)]),
            attempt(2, &[(0, 7), (7, 30), (30, 55)]),
        ];
        assert_eq!(answered_first(&case, &attempts, &released(Some(30))), Some(1), "reads before the barrier do not");
        assert_eq!(answered_first(&case, &attempts, &released(None)), Some(0));
        attempts[1].steps[2].outcome = OutcomeKind::Unknown;
        assert_eq!(answered_first(&case, &attempts, &released(Some(30))), Some(2), "silence is not an answer");
        attempts[2].steps[2].step = StepAt::Begin;
        assert_eq!(answered_first(&case, &attempts, &released(Some(30))), Some(0), "a BEGIN asks for nothing");
        assert_eq!(answered_first(&case, &attempts, &released(Some(70))), None);
    }
}
