//! Judges stored rounds by expectations that were changed after the race. Pure: rows in, changes out.
//!
//! Counts, `sometimes`, latency and growth are judged again; what invariants said in each round stands as recorded, since the state they read
//! is gone. A round's row is made a record again, so that the very checks of a run judge it; `unstored` is what rows lack.

#[cfg(test)]
mod tests;
mod unstored;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::judge::{
    CaseTally, Clocks, ControlVerdict, Ends, Failure, GrowthPoint, GrowthVerdict, RoundJudgement, RunVerdict,
    StepTally, Verdict, judge_case, judge_control, judge_control_round, judge_growth, judge_round,
};
use crate::measure::Histogram;
use crate::model::Case;
use crate::model::record::{Attempt, BarrierRecord, InvariantResult, Outcome, RoundRecord};
use crate::outcome::{OutcomeKind, Tally};
use crate::plan::{PlannedCase, PlannedScenario};
use crate::report::rounds::{StoredInvariants, StoredRound};
use crate::report::schema::{
    CaseReport, ClocksReport, ControlReport, ControlVerdictWord, Counts, GroupReport, LatencyReport, Race,
    ScenarioReport,
};
use crate::report::words::number;
use crate::report::{base_id, build};
use unstored::{Origins, UNTOLD};

/// A scenario judged again.
#[derive(Debug)]
pub struct Rejudged {
    /// The cases that were judged.
    pub cases: Vec<CaseChange>,
    /// The growth checks.
    pub growth: Vec<GrowthChange>,
    /// Recorded cases that could not be judged, and why.
    pub unmatched: Vec<(String, String)>,
    /// What all of it comes to.
    pub verdict: RunVerdict,
}

/// A case's verdict then and now.
#[derive(Debug)]
pub struct CaseChange {
    /// The case.
    pub id: String,
    /// The recorded verdict.
    pub before: Verdict,
    /// The verdict by the scenario as it is now.
    pub after: Verdict,
    /// Why it was not a pass.
    pub reasons_before: Vec<String>,
    /// Why it is not a pass now.
    pub reasons_after: Vec<String>,
    /// The first round that fails now, and what does not hold in it.
    pub first_failed: Option<(u64, Vec<Failure>)>,
    /// Where the scenario differs from what was raced.
    pub notes: Vec<String>,
}

/// A growth check's verdict then and now.
#[derive(Debug)]
pub struct GrowthChange {
    /// The recorded verdict, if the check was there.
    pub before: Option<Verdict>,
    /// The check as it is now.
    pub after: GrowthVerdict,
}

/// The stored rows do not belong to the report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the rows of `{race}` in rounds.csv do not add up to its counts in report.json; one of them was changed, so use an unchanged copy"
)]
pub struct RowsDiffer {
    /// The case, or the case and its control.
    pub race: String,
}

/// One scenario of a report under a new judgement.
#[derive(Debug)]
pub struct Rejudge<'a> {
    recorded: &'a ScenarioReport,
    cases: Vec<CaseState<'a>>,
    unmatched: Vec<(String, String)>,
}

#[derive(Debug)]
struct CaseState<'a> {
    recorded: &'a CaseReport,
    race: RaceState<'a>,
    controls: Vec<ControlState<'a>>,
    /// How the case's own attempts ended.
    ends: Ends,
    notes: Vec<String>,
    /// What only another race could tell.
    doubts: Vec<String>,
}

#[derive(Debug)]
struct ControlState<'a> {
    name: String,
    race: RaceState<'a>,
    verdict: Option<ControlVerdict>,
    /// Whether the verdict is the recorded one, since nothing was changed.
    is_recorded: bool,
    /// Whether one of its rounds made it invalid. Rows do not tell why.
    was_invalid: bool,
}

/// The rounds of a case or control, as far as they have been read.
#[derive(Debug)]
struct RaceState<'a> {
    case: Arc<Case>,
    recorded: &'a Race,
    tally: CaseTally,
    /// Whether attempts ended where they must.
    origins: Origins,
    /// By outcome: the code of its attempts. Only the catches of controls depend on it.
    codes: BTreeMap<OutcomeKind, String>,
    /// Why its rounds cannot be judged.
    unjudgeable: Option<String>,
}

impl<'a> Rejudge<'a> {
    /// Matches the cases of `planned`, the scenario as it is now, with those that `recorded` holds. Other planned cases are passed over.
    pub fn new(recorded: &'a ScenarioReport, planned: PlannedScenario) -> Self {
        let mut rejudge = Rejudge { recorded, cases: Vec::new(), unmatched: Vec::new() };
        let is_same_file = planned.head.hash == recorded.hash;
        for planned in planned.cases {
            let id = planned.case.id.clone();
            // A filter takes every id that contains it, so there may be cases here that the report does not have.
            let Some(case) = recorded.cases.iter().find(|case| case.id == id) else { continue };
            match CaseState::new(case, planned, is_same_file) {
                Ok(state) => rejudge.cases.push(state),
                Err(reason) => rejudge.unmatched.push((id, reason)),
            }
        }
        for case in &recorded.cases {
            let known = rejudge.cases.iter().any(|state| state.recorded.id == case.id)
                || rejudge.unmatched.iter().any(|(id, _)| *id == case.id);
            if !known {
                rejudge.unmatched.push((case.id.clone(), "the scenario has no such case any more".to_owned()));
            }
        }
        rejudge
    }

    /// Judges one row. Rows of other scenarios, and of what is not judged, are passed over.
    pub fn add(&mut self, row: &StoredRound) {
        if row.scenario != self.recorded.name {
            return;
        }
        for state in &mut self.cases {
            if row.control.is_empty() {
                if row.case == state.recorded.id {
                    state.race.add(row);
                }
                continue;
            }
            let controls = state.controls.iter_mut().filter(|control| control.name == row.control);
            let controls = controls.filter(|control| base_id(&control.race.case) == row.case);
            controls.for_each(|control| control.add(row, &state.ends));
        }
    }

    /// The verdicts, when all rows have been added.
    pub fn end(mut self) -> Result<Rejudged, RowsDiffer> {
        for state in &mut self.cases {
            state.race.finish(&state.recorded.id)?;
            for control in &mut state.controls {
                control.race.finish(&format!("{}/{}", state.recorded.id, control.name))?;
            }
        }
        for state in &mut self.cases {
            state.judge_controls();
        }
        let growth = self.growth();
        let cases: Vec<CaseChange> = self.cases.into_iter().map(CaseState::end).collect();
        let mut causes: Vec<RunVerdict> = cases.iter().map(|case| case.after.into()).collect();
        causes.extend(growth.iter().map(|growth| RunVerdict::from(growth.after.verdict)));
        causes.extend(self.unmatched.iter().map(|_| RunVerdict::Inconclusive));
        Ok(Rejudged { cases, growth, unmatched: self.unmatched, verdict: RunVerdict::decide(causes) })
    }

    /// The growth checks, over the scenario's own cases and over those of each control that only growth can catch.
    fn growth(&self) -> Vec<GrowthChange> {
        let Some(first) = self.cases.first() else { return Vec::new() };
        let mut changes = Vec::new();
        for growth in &first.race.case.checks.growth {
            let point = |race: &RaceState<'_>| GrowthPoint::of(&race.case, &race.tally, growth);
            let own: Vec<GrowthPoint> = self.cases.iter().filter_map(|state| point(&state.race)).collect();
            let mut controls: BTreeMap<&str, Vec<GrowthPoint>> = BTreeMap::new();
            let awaiting = self.cases.iter().flat_map(|state| &state.controls);
            for control in awaiting.filter(|control| control.verdict == Some(ControlVerdict::AwaitsGrowth)) {
                controls.entry(&control.name).or_default().extend(point(&control.race));
            }
            let mut judged = judge_growth(growth, None, &own);
            judged.extend(controls.iter().flat_map(|(name, points)| judge_growth(growth, Some(name), points)));
            for after in judged {
                let same = self.recorded.growth.iter().find(|before| {
                    before.name == after.name
                        && before.control == after.control
                        && before.others == build::values(&after.others)
                });
                changes.push(GrowthChange { before: same.map(|before| before.verdict.into()), after });
            }
        }
        changes
    }
}

impl<'a> CaseState<'a> {
    /// `Err` says why the recorded case is not the planned one.
    fn new(recorded: &'a CaseReport, planned: PlannedCase, is_same_file: bool) -> Result<Self, String> {
        same_workers(&recorded.race, &planned.case)?;
        let mut notes = Vec::new();
        if steps(&recorded.race.groups) != steps(&build::groups(&planned.case)) {
            notes.push("its steps are not those that were raced; what is judged is what was raced".to_owned());
        }
        let mut doubts = Vec::new();
        for invariant in &planned.case.checks.invariants {
            match recorded.race.invariants.iter().find(|known| known.name == invariant.name) {
                None => {
                    doubts.push(format!("invariant `{}` was not asked when this was raced; race it", invariant.name));
                }
                Some(known) if known.that != invariant.that.source() => notes.push(format!(
                    "invariant `{}` was `{}` when this was raced; what it said then stands",
                    known.name, known.that
                )),
                Some(_) => {}
            }
        }
        let ends = unstored::ends(&recorded.race);
        let mut controls = Vec::new();
        for case in planned.controls {
            let name = case.control.as_ref().map(|control| control.name.clone()).unwrap_or_default();
            let known: Option<&ControlReport> = recorded.controls.iter().find(|control| control.name == name);
            match known.map(|known| same_workers(&known.race, &case).map(|()| known)) {
                Some(Ok(known)) => controls.push(ControlState::new(name, known, case, &ends, is_same_file)),
                Some(Err(reason)) => doubts.push(format!("control `{name}`: {reason}")),
                None => doubts.push(format!("control `{name}` was not raced; race it")),
            }
        }
        let race = RaceState::new(planned.case, &recorded.race, is_same_file);
        Ok(CaseState { recorded, race, controls, ends, notes, doubts })
    }

    fn judge_controls(&mut self) {
        for control in &mut self.controls {
            if let Some(reason) = &control.race.unjudgeable {
                self.doubts.push(format!("control `{}`: {reason}", control.name));
                continue;
            }
            if control.is_recorded {
                continue;
            }
            let RaceState { case, tally, recorded, origins, .. } = &control.race;
            let verdict = control.verdict.take().unwrap_or_else(|| judge_control(case, tally));
            let is_caught = matches!(verdict, ControlVerdict::Caught { round: Some(_), .. });
            let is_invalid = matches!(verdict, ControlVerdict::Invalid { round: Some(_), .. });
            match verdict {
                _ if control.was_invalid => self.doubts.push(format!(
                    "control `{}` was invalid when this was raced, and what made it so is not stored for each round; race it",
                    control.name
                )),
                _ if is_invalid || (is_caught && recorded.other_refusals > 0) => self.doubts.push(format!(
                    "control `{}` may be caught by a mistake: with which codes attempts ended is not stored for each round; race it",
                    control.name
                )),
                ControlVerdict::Survived { .. } if *origins == Origins::Untold => {
                    self.doubts.push(format!("control `{}`: {UNTOLD}", control.name));
                }
                // It ended early, by a check that would not have ended it now.
                ControlVerdict::Survived { rounds, .. } if rounds < case.rounds => self.doubts.push(format!(
                    "control `{}` is not caught in {}, and {} were to be raced; race it",
                    control.name,
                    number(rounds, "round"),
                    case.rounds
                )),
                verdict => control.verdict = Some(verdict),
            }
        }
    }

    fn end(self) -> CaseChange {
        let CaseState { recorded, race, controls, notes, mut doubts, .. } = self;
        let controls: Vec<(String, ControlVerdict)> =
            controls.into_iter().filter_map(|control| Some((control.name, control.verdict?))).collect();
        let mut judged = judge_case(&race.case, &race.tally, &controls);
        if let Some(reason) = race.unjudgeable {
            // Without its rounds, a case is not even as long as planned; that says less than the reason does.
            judged.reasons.clear();
            judged.verdict = Verdict::Inconclusive;
            doubts.insert(0, reason);
        }
        match race.origins {
            Origins::AsRecorded(Some(broken)) if race.tally.failed == 0 => {
                judged.verdict = Verdict::Fail;
                judged.reasons.push(broken);
            }
            Origins::Untold => doubts.insert(0, UNTOLD.to_owned()),
            Origins::AsRecorded(_) | Origins::Met => {}
        }
        let after = match judged.verdict {
            Verdict::Pass if !doubts.is_empty() => Verdict::Inconclusive,
            verdict => verdict,
        };
        let failing = race.tally.kept.iter().find(|kept| kept.judgement.verdict() == Verdict::Fail);
        CaseChange {
            id: recorded.id.clone(),
            before: recorded.verdict.into(),
            after,
            reasons_before: recorded.reasons.clone(),
            reasons_after: judged.reasons.into_iter().chain(doubts).collect(),
            first_failed: failing.map(|kept| (kept.judgement.round, kept.judgement.failures.clone())),
            notes,
        }
    }
}

impl<'a> ControlState<'a> {
    fn new(name: String, recorded: &'a ControlReport, case: Arc<Case>, ends: &Ends, is_same_file: bool) -> Self {
        let verdict = unstored::recorded_verdict(recorded, &case, is_same_file);
        let mut race = RaceState::new(case, &recorded.race, is_same_file);
        race.codes = unstored::worst_codes(&recorded.race, ends);
        let was_invalid = recorded.verdict == ControlVerdictWord::Invalid && recorded.round.is_some();
        ControlState { name, race, is_recorded: verdict.is_some(), verdict, was_invalid }
    }

    /// Controls end with the first round that catches them, or makes them invalid.
    fn add(&mut self, row: &StoredRound, ends: &Ends) {
        let added = self.race.add(row);
        if self.verdict.is_none() {
            let judged = |(record, judgement)| judge_control_round(&self.race.case, &record, &judgement, ends);
            self.verdict = added.and_then(judged);
        }
    }
}

impl<'a> RaceState<'a> {
    /// How many rounds there should be is not an expectation, and invariants that were not asked have nothing to say.
    fn new(mut case: Arc<Case>, recorded: &'a Race, is_same_file: bool) -> Self {
        let origins = Origins::of(recorded, &case, is_same_file);
        let own = Arc::get_mut(&mut case).expect("nobody shares the cases of a plan");
        own.rounds = recorded.rounds_planned;
        own.checks.invariants.retain(|it| recorded.invariants.iter().any(|known| known.name == it.name));
        // Records that are made of rows do not say where attempts ended.
        let expectations = own.checks.expect.iter_mut().chain(own.checks.by_group.values_mut());
        expectations.for_each(|expectation| expectation.origins.clear());
        let tally = CaseTally::new(&case);
        let unknown = recorded.counts.keys().find(|outcome| outcome.kind().is_none());
        let unjudgeable = unknown.map(|outcome| {
            format!("attempts ended `{outcome}`, which this version does not know; judge it with the one that raced it")
        });
        RaceState { case, recorded, tally, origins, codes: BTreeMap::new(), unjudgeable }
    }

    /// Adds the next row. Rows after those that the report counts came later, from a case that was cut short.
    fn add(&mut self, row: &StoredRound) -> Option<(RoundRecord, RoundJudgement)> {
        if self.unjudgeable.is_some() || self.tally.rounds >= self.recorded.rounds {
            return None;
        }
        match self.record(row) {
            Ok(record) => {
                let judgement = judge_round(&self.case, &record);
                self.tally.add(&self.case, &record, &judgement);
                Some((record, judgement))
            }
            Err(reason) => {
                self.unjudgeable = Some(reason);
                None
            }
        }
    }

    /// Whether the rows are those of the report; then takes its histograms, since rows hold no latency of each attempt.
    fn finish(&mut self, name: &str) -> Result<(), RowsDiffer> {
        if self.unjudgeable.is_some() {
            return Ok(());
        }
        if self.tally.rounds != self.recorded.rounds || self.tally.tally != tally_of(&self.recorded.counts) {
            return Err(RowsDiffer { race: name.to_owned() });
        }
        self.tally.attempts = latencies(&self.recorded.attempts);
        let steps = self.recorded.steps.iter();
        self.tally.steps =
            steps.map(|step| StepTally { name: step.name.clone(), outcomes: latencies(&step.latency) }).collect();
        Ok(())
    }

    /// A row as the record that it was made from, as far as checks ask for it. `Err` says why that cannot be.
    fn record(&self, row: &StoredRound) -> Result<RoundRecord, String> {
        let mut kinds: Vec<std::vec::IntoIter<OutcomeKind>> = self.groups(row)?.iter().map(kinds).collect();
        let attempt = |(worker, group): (usize, usize)| {
            let kind = kinds[group].next()?;
            let code = self.codes.get(&kind).cloned().unwrap_or_default();
            let outcome = Outcome { kind, code, ..Outcome::success() };
            Some(Attempt { outcome, ..Attempt::new(worker) })
        };
        let workers = self.case.workers.iter().map(|worker| worker.group).enumerate();
        let attempts: Option<Vec<Attempt>> = workers.map(attempt).collect();
        let attempts = attempts.filter(|_| row.tally.total() == self.case.workers.len() as u64);
        let attempts = attempts.ok_or_else(|| format!("round {} has another number of workers", row.round))?;
        Ok(RoundRecord {
            round: row.round,
            since_setup: row.since_setup.unwrap_or(row.round),
            attempts,
            barriers: vec![BarrierRecord::default(); self.case.barriers.len()],
            invariants: self.invariants(row)?,
            overlap: row.overlap,
            makespan: Duration::ZERO,
            // What rows hold of these says nothing about expectations.
            order: Vec::new(),
            places: Vec::new(),
            head_start: None,
            answered_first: None,
            deeds: Vec::new(),
        })
    }

    /// How each group's attempts ended.
    fn groups(&self, row: &StoredRound) -> Result<Vec<Tally>, String> {
        let groups = &self.case.groups;
        match &row.groups {
            Some(counts) => groups
                .iter()
                .map(|group| counts.get(&group.name).map(tally_of))
                .collect::<Option<_>>()
                .ok_or_else(|| format!("round {} has other groups", row.round)),
            None if groups.len() == 1 => Ok(vec![row.tally]),
            None if self.case.checks.by_group.is_empty() => {
                // Nothing is expected of a group for itself, so it does not matter whose attempt ended how.
                let mut kinds = kinds(&row.tally);
                let size = |group| self.case.workers.iter().filter(|worker| worker.group == group).count();
                Ok((0..groups.len()).map(|group| kinds.by_ref().take(size(group)).collect()).collect())
            }
            None => Err("rounds.csv holds the counts of groups only since report schema 1.1; race it again".to_owned()),
        }
    }

    fn invariants(&self, row: &StoredRound) -> Result<Vec<InvariantResult>, String> {
        let checks = &self.case.checks.invariants;
        let Some(StoredInvariants { broken, undefined, undecided }) = &row.invariants else {
            let held = self.recorded.invariants.iter().all(|invariant| invariant.held == self.recorded.rounds);
            let reason = "rounds.csv says which rounds broke an invariant only since report schema 1.1; race it again";
            return if held { Ok(vec![InvariantResult::Held; checks.len()]) } else { Err(reason.to_owned()) };
        };
        let recorded = || "as recorded".to_owned();
        let result = |name: &String| match undecided.get(name) {
            Some(Some(holds_for)) => InvariantResult::Depends { holds_for: holds_for.clone(), observed: recorded() },
            Some(None) => InvariantResult::Unread { reason: recorded() },
            None if broken.contains(name) => InvariantResult::Broken { observed: recorded() },
            None if undefined.contains(name) => InvariantResult::Undefined { reason: recorded() },
            None => InvariantResult::Held,
        };
        Ok(checks.iter().map(|invariant| result(&invariant.name)).collect())
    }
}

/// One outcome for each attempt.
fn kinds(tally: &Tally) -> std::vec::IntoIter<OutcomeKind> {
    let kinds = tally.occurred().flat_map(|(kind, count)| std::iter::repeat_n(kind, count as usize));
    kinds.collect::<Vec<_>>().into_iter()
}

/// The counts of the outcomes that this version knows.
fn tally_of(counts: &Counts) -> Tally {
    let mut tally = Tally::default();
    let known = counts.iter().filter_map(|(outcome, count)| Some((outcome.kind()?, *count)));
    known.for_each(|(kind, count)| tally.add(kind, count));
    tally
}

fn latencies(latency: &LatencyReport) -> BTreeMap<OutcomeKind, Clocks> {
    let decode = |text: &str| Histogram::decode(text).expect("reports are loaded with whole histograms");
    let clocks = |it: &ClocksReport| Clocks {
        since_release: decode(&it.since_release.histogram),
        own: decode(&it.own.histogram),
    };
    latency.outcomes.iter().filter_map(|(outcome, it)| Some((outcome.kind()?, clocks(it)))).collect()
}

/// Whether the same worker groups of the same sizes race. `Err` says what differs.
fn same_workers(race: &Race, case: &Case) -> Result<(), String> {
    let text = |groups: &[GroupReport]| {
        let groups = groups.iter().map(|group| format!("{} x {}", group.workers, group.name));
        groups.collect::<Vec<_>>().join(", ")
    };
    let (raced, now) = (text(&race.groups), text(&build::groups(case)));
    if raced == now { Ok(()) } else { Err(format!("its workers were {raced} and are {now} now; race it again")) }
}

/// What the workers do: all of a group but how its attempts ended.
fn steps(groups: &[GroupReport]) -> Vec<GroupReport> {
    groups.iter().map(|group| GroupReport { counts: Counts::new(), ..group.clone() }).collect()
}
