//! Everything a case's rounds add up to, in bounded memory however many rounds there are.

use std::collections::BTreeMap;

use crate::duration::as_ns;
use crate::measure::Histogram;
use crate::model::record::{ArrivalKind, Attempt, BarrierRecord, InvariantResult, RoundRecord, StepAt};
use crate::model::{Action, Case, KeptExchanges};
use crate::outcome::{OutcomeKind, Tally};
use crate::said::Said;

use super::control::Ends;
use super::independence::FirstAnswers;
use super::round::{FailureKind, RoundJudgement, invariant_results};
use super::verdict::Verdict;

/// Failing rounds kept in full.
const FAILING_ROUNDS_KEPT: usize = 5;
/// Passing, and inconclusive, rounds kept in full.
const OTHER_ROUNDS_KEPT: usize = 2;
/// Distinct outcome mixes counted apart; the rest is counted together.
const MIXES_KEPT: usize = 50;
/// Distinct ends of attempts kept, by class and code.
const ENDS_KEPT: usize = 1_000;
/// Distinct refusals counted apart; the rest is counted together.
const REFUSALS_KEPT: usize = 50;

/// What a case's rounds add up to.
#[derive(Debug, Clone)]
pub struct CaseTally {
    /// Rounds raced.
    pub rounds: u64,
    /// Rounds in which two workers were in play at once.
    pub raced: u64,
    /// Of these: who was answered first.
    pub first: FirstAnswers,
    /// Rounds in which some workers had a head start: counted and judged like others, and not measured.
    pub head_starts: HeadStartTally,
    /// Rounds that failed.
    pub failed: u64,
    /// Rounds that were inconclusive.
    pub open: u64,
    /// Rounds that something from outside disturbed, see [`RoundJudgement::disturbed`].
    pub disturbed: u64,
    /// The first of them, and what disturbed it.
    pub first_disturbed: Option<(u64, String)>,
    /// The first failing round.
    pub first_failed: Option<u64>,
    /// What messages call it.
    pub first_failed_name: String,
    /// Why the first inconclusive round was so.
    pub first_open: Option<(String, String)>,
    /// How all attempts ended.
    pub tally: Tally,
    /// The same by group, by index into [`Case::groups`].
    pub groups: Vec<Tally>,
    /// The least count of each outcome in a round: for the whole round, then for each group.
    pub least: Vec<Tally>,
    /// The greatest count of each outcome in a round: for the whole round, then for each group.
    pub most: Vec<Tally>,
    /// In how many rounds a check failed, by group (`None` for the whole round) and name.
    pub broken: BTreeMap<(Option<String>, String), u64>,
    /// How many rounds ended in each distinct mix of outcomes.
    pub mixes: BTreeMap<Tally, u64>,
    /// Rounds with a mix that came after 50 others.
    pub other_mixes: u64,
    /// Latency of whole attempts, by outcome.
    pub attempts: BTreeMap<OutcomeKind, Clocks>,
    /// Latency of the steps that ask a target, in order of appearance.
    pub steps: Vec<StepTally>,
    /// By index into [`Case::barriers`].
    pub barriers: Vec<BarrierTally>,
    /// The most workers in play at once: one value per round.
    pub overlap: Histogram,
    /// Nanoseconds from the start to the end of the last attempt: one value per round.
    pub makespan: Histogram,
    /// By index into [`crate::model::Checks::invariants`].
    pub invariants: Vec<InvariantTally>,
    /// In how many rounds each of [`crate::model::Checks::sometimes`] was seen.
    pub sometimes: Vec<u64>,
    /// The class and the code of each end of an attempt; of the first thousand.
    pub ends: Ends,
    /// Why attempts did not succeed.
    pub refusals: BTreeMap<RefusalKey, Refusal>,
    /// Refusals of a sort that came after 50 others.
    pub other_refusals: u64,
    /// Rounds kept in full, in the order raced.
    pub kept: Vec<KeptRound>,
    /// The position in `steps` of each group's steps that ask a target.
    step_index: BTreeMap<(usize, StepAt), usize>,
}

/// What the rounds with a head start add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadStartTally {
    /// How many there were.
    pub rounds: u64,
    /// How their attempts ended.
    pub tally: Tally,
}

/// One latency on two clocks, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clocks {
    /// From the release of the last barrier that the worker had passed.
    pub since_release: Histogram,
    /// From the step's or attempt's own start.
    pub own: Histogram,
}

/// The latency of one step, over all groups that have a step of this name.
#[derive(Debug, Clone, PartialEq)]
pub struct StepTally {
    /// Its name; `begin` and `commit` for a transaction's ends.
    pub name: String,
    /// By outcome.
    pub outcomes: BTreeMap<OutcomeKind, Clocks>,
}

/// What happened at one barrier over all rounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BarrierTally {
    /// Rounds in which it was released.
    pub released: u64,
    /// Of these, the rounds in which some workers had a head start.
    pub released_with_head_start: u64,
    /// Rounds in which it was never completed although somebody came.
    pub broken: u64,
    /// Workers that reached it and waited.
    pub arrived: u64,
    /// Workers whose attempt ended before it.
    pub failed: u64,
    /// Workers that were waiting for one parked at it.
    pub blocked: u64,
    /// Workers that came after its release.
    pub late: u64,
    /// Nanoseconds from the first to the last parked worker past it: one value per release without a head start.
    pub skew: Histogram,
}

/// What an invariant said over all rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InvariantTally {
    /// Rounds in which it held.
    pub held: u64,
    /// Rounds in which it did not.
    pub broken: u64,
    /// Rounds in which what was read gave it no value.
    pub undefined: u64,
    /// Rounds that leave open whether it held: it was not read, or it depends on attempts that were lost.
    pub undecided: u64,
}

/// A sort of refusal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusalKey {
    /// The outcome.
    pub kind: OutcomeKind,
    /// The failed step's name.
    pub step: String,
    /// The system's code.
    pub code: String,
}

/// How often a sort of refusal came, and what it said the first time.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// How many attempts ended so.
    pub count: u64,
    /// In how many rounds that were raced some did; a single worker's all count.
    pub rounds: u64,
    /// The first round that is not yet counted in `rounds`.
    next_round: u64,
    /// The first message.
    pub example: Said,
}

/// A round kept in full.
#[derive(Debug, Clone)]
pub struct KeptRound {
    /// What happened.
    pub record: RoundRecord,
    /// What was asked in it, and what came of it.
    pub exchanges: KeptExchanges,
    /// What that proves.
    pub judgement: RoundJudgement,
}

impl Clocks {
    /// Nothing ends before it starts; a clock that says so is taken for zero.
    fn record(&mut self, started_ns: u64, released_ns: u64, ended_ns: u64) {
        self.since_release.record(ended_ns.saturating_sub(released_ns));
        self.own.record(ended_ns.saturating_sub(started_ns));
    }

    /// Adds everything that `other` recorded.
    pub fn merge(&mut self, other: &Clocks) {
        self.since_release.merge(&other.since_release);
        self.own.merge(&other.own);
    }
}

/// The latency over all outcomes: merged, since quantiles cannot be averaged.
pub fn all_outcomes(outcomes: &BTreeMap<OutcomeKind, Clocks>) -> Clocks {
    let mut all = Clocks::default();
    outcomes.values().for_each(|clocks| all.merge(clocks));
    all
}

impl CaseTally {
    /// The tally of a case before its first round.
    pub fn new(case: &Case) -> Self {
        let (steps, step_index) = steps_of(case);
        let scopes = case.groups.len() + 1;
        CaseTally {
            rounds: 0,
            raced: 0,
            first: FirstAnswers::default(),
            head_starts: HeadStartTally::default(),
            failed: 0,
            open: 0,
            disturbed: 0,
            first_disturbed: None,
            first_failed: None,
            first_failed_name: String::new(),
            first_open: None,
            tally: Tally::default(),
            groups: vec![Tally::default(); case.groups.len()],
            least: vec![Tally::default(); scopes],
            most: vec![Tally::default(); scopes],
            broken: BTreeMap::new(),
            mixes: BTreeMap::new(),
            other_mixes: 0,
            attempts: BTreeMap::new(),
            steps,
            barriers: vec![BarrierTally::default(); case.barriers.len()],
            overlap: Histogram::new(),
            makespan: Histogram::new(),
            invariants: vec![InvariantTally::default(); case.checks.invariants.len()],
            sometimes: vec![0; case.checks.sometimes.len()],
            ends: Ends::new(),
            refusals: BTreeMap::new(),
            other_refusals: 0,
            kept: Vec::new(),
            step_index,
        }
    }

    /// Adds a round of `case` and its judgement. True when the round is one of those kept in full, see [`Self::kept`].
    /// Panics when the counts do not add up: such a record is the harness's fault.
    pub fn add(&mut self, case: &Case, record: &RoundRecord, judgement: &RoundJudgement) -> bool {
        assert_eq!(record.round, judgement.round, "a round is added with its own judgement");
        assert_eq!(record.tally(), judgement.tally, "a judgement counts what its record holds");
        self.add_counts(case, record, judgement);
        let is_measured = record.head_start.is_none();
        for attempt in &record.attempts {
            if is_measured {
                self.measure(case, attempt);
            }
            self.add_end(case, attempt, record.overlap >= 2 || case.workers.len() < 2);
        }
        for (tally, barrier) in self.barriers.iter_mut().zip(&record.barriers) {
            tally.add(barrier, is_measured);
        }
        if is_measured {
            self.makespan.record(as_ns(record.makespan));
        } else {
            self.head_starts.rounds += 1;
            self.head_starts.tally.merge(&judgement.tally);
        }
        self.overlap.record(record.overlap);
        if record.overlap >= 2 {
            self.raced += 1;
            self.first.add(record.answered_first);
        }
        for (tally, (invariant, result)) in self.invariants.iter_mut().zip(invariant_results(case, record)) {
            let mut failures = judgement.failures.iter().filter(|failure| failure.check == invariant.name);
            let failed = failures.find(|failure| failure.kind != FailureKind::Count).map(|failure| failure.kind);
            let passed = judgement.verdict() == Verdict::Pass;
            match (failed, result) {
                (Some(FailureKind::Undefined), _) => tally.undefined += 1,
                (Some(FailureKind::Count | FailureKind::Invariant), _) => tally.broken += 1,
                (None, Some(InvariantResult::Held)) => tally.held += 1,
                (None, Some(InvariantResult::Depends { .. })) if passed => tally.held += 1,
                (None, _) => tally.undecided += 1,
            }
        }
        self.assert_conserved(case);
        self.keep(record, judgement)
    }

    /// The own-clock latency of a step, or of whole attempts for `attempt`, over all outcomes.
    pub fn latency(&self, step: &str) -> Histogram {
        if step == "attempt" {
            return all_outcomes(&self.attempts).own;
        }
        self.steps
            .iter()
            .find(|tally| tally.name == step)
            .map_or_else(Histogram::new, |tally| all_outcomes(&tally.outcomes).own)
    }

    fn add_counts(&mut self, case: &Case, record: &RoundRecord, judgement: &RoundJudgement) {
        let first = self.rounds == 0;
        self.rounds += 1;
        match judgement.verdict() {
            Verdict::Pass => {}
            Verdict::Fail => {
                self.failed += 1;
                if self.first_failed.is_none() {
                    self.first_failed = Some(record.round);
                    self.first_failed_name = round_name(record.round, record.since_setup);
                }
            }
            Verdict::Inconclusive => {
                self.open += 1;
                let name = || round_name(record.round, record.since_setup);
                self.first_open.get_or_insert_with(|| (name(), judgement.open.clone().unwrap_or_default()));
            }
        }
        if !judgement.disturbed.is_empty() {
            self.disturbed += 1;
            self.first_disturbed.get_or_insert_with(|| (record.round, judgement.disturbed.join("; ")));
        }
        for failure in &judgement.failures {
            *self.broken.entry((failure.group.clone(), failure.check.clone())).or_default() += 1;
        }
        self.tally.merge(&judgement.tally);
        for (sum, group) in self.groups.iter_mut().zip(&judgement.groups) {
            sum.merge(group);
        }
        for (scope, tally) in std::iter::once(&judgement.tally).chain(&judgement.groups).enumerate() {
            self.least[scope] = if first { *tally } else { self.least[scope].least(tally) };
            self.most[scope] = self.most[scope].most(tally);
        }
        if self.mixes.len() < MIXES_KEPT || self.mixes.contains_key(&judgement.tally) {
            *self.mixes.entry(judgement.tally).or_default() += 1;
        } else {
            self.other_mixes += 1;
        }
        for (seen, (kind, range)) in self.sometimes.iter_mut().zip(&case.checks.sometimes) {
            *seen += u64::from(range.contains(judgement.tally.of(*kind)));
        }
    }

    fn measure(&mut self, case: &Case, attempt: &Attempt) {
        let clocks = self.attempts.entry(attempt.outcome.kind).or_default();
        clocks.record(attempt.started_ns, attempt.released_ns, attempt.ended_ns);
        let group = case.workers[attempt.worker].group;
        for step in attempt.steps.iter().filter(|step| !step.has_prepared) {
            if let Some(index) = self.step_index.get(&(group, step.step)) {
                let clocks = self.steps[*index].outcomes.entry(step.outcome).or_default();
                clocks.record(step.started_ns, step.released_ns, step.ended_ns);
            }
        }
    }

    fn add_end(&mut self, case: &Case, attempt: &Attempt, is_raced: bool) {
        let outcome = &attempt.outcome;
        if outcome.kind == OutcomeKind::Success {
            return;
        }
        let group = case.workers[attempt.worker].group;
        if self.ends.len() < ENDS_KEPT {
            self.ends.insert((outcome.kind, outcome.code.clone()));
        }
        let step = outcome.step.map_or(String::new(), |step| step_name(case, group, step).to_owned());
        let key = RefusalKey { kind: outcome.kind, step, code: outcome.code.clone() };
        if self.refusals.len() >= REFUSALS_KEPT && !self.refusals.contains_key(&key) {
            self.other_refusals += 1;
            return;
        }
        let refusal = self.refusals.entry(key).or_insert_with(|| Refusal {
            count: 0,
            rounds: 0,
            next_round: 0,
            example: outcome.message.clone(),
        });
        refusal.count += 1;
        // Rounds are added once each, and this one is the last of `self.rounds`.
        if is_raced && refusal.next_round < self.rounds {
            refusal.rounds += 1;
            refusal.next_round = self.rounds;
        }
    }

    fn keep(&mut self, record: &RoundRecord, judgement: &RoundJudgement) -> bool {
        let verdict = judgement.verdict();
        let limit = if verdict == Verdict::Fail { FAILING_ROUNDS_KEPT } else { OTHER_ROUNDS_KEPT };
        let kept = self.kept.iter().filter(|kept| kept.judgement.verdict() == verdict).count() < limit;
        if kept {
            let exchanges = KeptExchanges::default();
            self.kept.push(KeptRound { record: record.clone(), exchanges, judgement: judgement.clone() });
        }
        kept
    }

    /// Adds to the round that was kept last what was asked in it, and what came of it.
    pub fn keep_exchanges(&mut self, exchanges: KeptExchanges) {
        if let Some(kept) = self.kept.last_mut() {
            kept.exchanges = exchanges;
        }
    }

    /// Nothing was dropped and nothing counted twice.
    fn assert_conserved(&self, case: &Case) {
        let workers = case.workers.len() as u64;
        let attempts = workers * self.rounds;
        let left_out = &self.head_starts;
        assert_eq!(left_out.tally.total(), workers * left_out.rounds, "what is left out are whole rounds");
        assert_eq!(self.tally.total(), attempts, "outcomes add up to workers times rounds");
        assert_eq!(self.groups.iter().map(Tally::total).sum::<u64>(), attempts, "groups add up to the whole");
        for (kind, count) in self.tally.occurred() {
            let recorded = self.attempts.get(&kind).map_or(0, |clocks| clocks.own.len());
            let left_out = self.head_starts.tally.of(kind);
            assert_eq!(recorded + left_out, count, "every attempt that ended in {kind} was measured once");
        }
        let refused = self.refusals.values().map(|refusal| refusal.count).sum::<u64>() + self.other_refusals;
        assert_eq!(refused + self.tally.of(OutcomeKind::Success), attempts, "what is not a success is a refusal");
        let mixed = self.mixes.values().sum::<u64>() + self.other_mixes;
        let measured = self.makespan.len() + left_out.rounds;
        assert_eq!([mixed, self.overlap.len(), measured], [self.rounds; 3], "every round is counted once");
    }
}

impl BarrierTally {
    fn add(&mut self, record: &BarrierRecord, is_measured: bool) {
        match record.released_ns {
            Some(_) => {
                self.released += 1;
                if is_measured {
                    self.skew.record(record.skew_ns);
                } else {
                    self.released_with_head_start += 1;
                }
            }
            None => self.broken += u64::from(!record.missing.is_empty()),
        }
        for arrival in &record.arrivals {
            let count = match arrival.kind {
                ArrivalKind::Arrived => &mut self.arrived,
                ArrivalKind::Failed => &mut self.failed,
                ArrivalKind::Blocked { .. } => &mut self.blocked,
                ArrivalKind::Late => &mut self.late,
            };
            *count += 1;
        }
    }
}

/// The steps that ask a target, by name in order of appearance, and where to find each group's.
fn steps_of(case: &Case) -> (Vec<StepTally>, BTreeMap<(usize, StepAt), usize>) {
    let mut steps: Vec<StepTally> = Vec::new();
    let mut index = BTreeMap::new();
    for (group, plan) in case.groups.iter().enumerate() {
        let in_transaction = case.workers.iter().any(|worker| worker.group == group && worker.transaction.is_some());
        let calls = plan.steps.iter().enumerate().filter(|(_, step)| matches!(step.action, Action::Call { .. }));
        let begin = in_transaction.then_some(StepAt::Begin);
        let commit = in_transaction.then_some(StepAt::Commit);
        for step in begin.into_iter().chain(calls.map(|(step, _)| StepAt::step(step))).chain(commit) {
            let name = step_name(case, group, step);
            let position = steps.iter().position(|tally| tally.name == name).unwrap_or_else(|| {
                steps.push(StepTally { name: name.to_owned(), outcomes: BTreeMap::new() });
                steps.len() - 1
            });
            index.insert((group, step), position);
        }
    }
    (steps, index)
}

/// What messages call a round: `23`, or `23, the 3rd after set-up` where `setup` ran again since the run's first round.
pub(crate) fn round_name(round: u64, since_setup: u64) -> String {
    if since_setup == round {
        return round.to_string();
    }
    let position = since_setup.saturating_add(1);
    let suffix = match (position % 10, position % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{round}, the {position}{suffix} after set-up")
}

/// The name of a step in reports and messages: `begin` and `commit` for a transaction's ends.
pub fn step_name(case: &Case, group: usize, step: StepAt) -> &str {
    match step {
        StepAt::Begin => "begin",
        StepAt::Commit => "commit",
        StepAt::Step(index) => &case.groups[group].steps[index as usize].name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{TestCase, record, tally};
    use crate::judge::judge_round;
    use crate::model::record::HeadStart;

    fn add(case: &Case, sum: &mut CaseTally, round: u64, outcomes: &str) -> bool {
        let record = record(case, round, outcomes);
        sum.add(case, &record, &judge_round(case, &record))
    }

    #[test]
    fn a_round_is_told_by_its_place_after_set_up_where_that_differs() {
        assert_eq!(round_name(2, 2), "2");
        assert_eq!(round_name(23, 2), "23, the 3rd after set-up");
        let places = [0, 1, 3, 10, 20, 110].map(|since_setup| round_name(500, since_setup));
        let suffixes: Vec<&str> = places.iter().map(|name| name.split(' ').nth(2).unwrap()).collect();
        assert_eq!(suffixes, ["1st", "2nd", "4th", "11th", "21st", "111th"]);
    }

    #[test]
    fn rounds_add_up() {
        let case = TestCase::new(3).expect("success = 1, conflict = 2").invariant("one stored").build();
        let mut sum = CaseTally::new(&case);
        add(&case, &mut sum, 0, "1 success, 2 conflict");
        add(&case, &mut sum, 1, "2 success, 1 conflict");
        add(&case, &mut sum, 2, "1 success, 2 conflict");
        assert_eq!((sum.rounds, sum.failed, sum.first_failed), (3, 1, Some(1)));
        assert_eq!(sum.tally, tally("4 success, 5 conflict"));
        assert_eq!((sum.least[0], sum.most[0]), (tally("1 success, 1 conflict"), tally("2 success, 2 conflict")));
        assert_eq!(sum.mixes[&tally("1 success, 2 conflict")], 2);
        assert_eq!(sum.broken[&(None, "success".to_owned())], 1);
        assert_eq!(sum.invariants[0], InvariantTally { held: 3, ..InvariantTally::default() });
        assert_eq!((sum.barriers[0].released, sum.barriers[0].arrived, sum.barriers[0].skew.len()), (3, 9, 3));
        assert_eq!(sum.latency("append").len(), 9);
        assert_eq!(sum.latency("attempt").len(), 9);
        let key = RefusalKey { kind: OutcomeKind::Conflict, step: "append".to_owned(), code: "23505".to_owned() };
        assert_eq!(sum.refusals[&key].count, 5);
    }

    #[test]
    fn a_round_with_a_head_start_is_counted_and_judged_but_not_measured() {
        let case = TestCase::new(2).expect("success = 1, conflict = 1").build();
        let mut sum = CaseTally::new(&case);
        add(&case, &mut sum, 0, "1 success, 1 conflict");
        let plain = (sum.latency("append"), sum.latency("attempt"), sum.makespan.clone(), sum.barriers[0].skew.clone());
        let mut record = record(&case, 1, "2 success");
        record.head_start = Some(HeadStart { ahead: vec![1], lead_ns: 700 });
        sum.add(&case, &record, &judge_round(&case, &record));
        assert_eq!((sum.rounds, sum.raced, sum.failed, sum.overlap.len()), (2, 2, 1, 2));
        assert_eq!(sum.tally, tally("3 success, 1 conflict"));
        assert_eq!(sum.head_starts, HeadStartTally { rounds: 1, tally: tally("2 success") });
        assert_eq!((sum.barriers[0].released, sum.barriers[0].released_with_head_start), (2, 1));
        let measured =
            (sum.latency("append"), sum.latency("attempt"), sum.makespan.clone(), sum.barriers[0].skew.clone());
        assert_eq!(measured, plain);
    }

    #[test]
    fn a_skipped_invariant_is_counted_as_unevaluated() {
        let case = TestCase::new(1).invariant("one stored").build();
        let mut record = record(&case, 0, "1 success");
        record.invariants.clear();
        let mut sum = CaseTally::new(&case);
        sum.add(&case, &record, &judge_round(&case, &record));
        assert_eq!(sum.invariants[0], InvariantTally { undefined: 1, ..InvariantTally::default() });
        assert_eq!(sum.failed, 1);
    }

    #[test]
    #[should_panic(expected = "a judgement counts what its record holds")]
    fn a_judgement_that_dropped_an_outcome_is_noticed() {
        let case = TestCase::new(2).build();
        let record = record(&case, 0, "1 success, 1 conflict");
        let mut judgement = judge_round(&case, &record);
        judgement.tally = tally("1 success");
        CaseTally::new(&case).add(&case, &record, &judgement);
    }

    #[test]
    #[should_panic(expected = "every attempt that ended in success was measured once")]
    fn a_histogram_merged_twice_into_a_tally_is_noticed() {
        let case = TestCase::new(2).build();
        let mut sum = CaseTally::new(&case);
        add(&case, &mut sum, 0, "2 success");
        let again = sum.attempts[&OutcomeKind::Success].clone();
        sum.attempts.get_mut(&OutcomeKind::Success).unwrap().merge(&again);
        add(&case, &mut sum, 1, "2 success");
    }

    #[test]
    fn the_two_clocks_start_at_the_release_and_at_the_start() {
        let case = TestCase::new(1).build();
        let mut record = record(&case, 0, "1 success");
        let attempt = &mut record.attempts[0];
        (attempt.released_ns, attempt.started_ns, attempt.ended_ns) = (1_000, 301_000, 1_001_000);
        let mut sum = CaseTally::new(&case);
        sum.add(&case, &record, &judge_round(&case, &record));
        let clocks = &sum.attempts[&OutcomeKind::Success];
        assert_eq!(clocks.since_release.max().map(|ns| ns / 10_000), Some(100));
        assert_eq!(clocks.own.max().map(|ns| ns / 10_000), Some(70));
    }

    #[test]
    fn memory_does_not_grow_with_rounds() {
        let case = TestCase::new(60).expect("success = 60").build();
        let mut sum = CaseTally::new(&case);
        for round in 0..300 {
            let won = round % 61;
            add(&case, &mut sum, round, &format!("{won} success, {} conflict", 60 - won));
        }
        assert_eq!(sum.kept.len(), FAILING_ROUNDS_KEPT + OTHER_ROUNDS_KEPT);
        assert_eq!(sum.kept.iter().filter(|kept| kept.judgement.verdict() == Verdict::Pass).count(), OTHER_ROUNDS_KEPT);
        assert_eq!(sum.mixes.len(), MIXES_KEPT);
        assert!(sum.other_mixes > 0);
    }
}
