//! From what the checks found to the report's outward types.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::duration::as_ns;
use crate::judge::{
    self, BarrierTally, CaseTally, CaseVerdict, Clocks, ControlVerdict, Failure, FailureKind, GrowthVerdict, KeptRound,
    step_name,
};
use crate::measure::Histogram;
use crate::model::record::{ArrivalKind, Attempt, BarrierRecord, InvariantResult, StepAt};
use crate::model::{Action, Case, Compare, Growth, KeptExchange, KeptExchanges, LatencyBound, Step};
use crate::outcome::{OutcomeKind, Tally};
use crate::port::Description;
use crate::secrets::shown;
use crate::value::Value;

use super::consistency::check_case;
use super::history::ends;
use super::rows::base_id;
use super::schema::*;

/// The report of a finished case. Panics when its counts do not add up: that is the harness's fault. `targets` are by index into [`Case::targets`].
pub fn case_report(
    case: &Case,
    tally: &CaseTally,
    verdict: &CaseVerdict,
    controls: Vec<ControlReport>,
    targets: &[Description],
    elapsed: Duration,
) -> CaseReport {
    let described = case.targets.iter().zip(targets);
    let target = |(spec, description): (&crate::port::TargetSpec, &Description)| TargetReport {
        name: spec.name.clone(),
        driver: description.driver.clone(),
        version: description.version.clone(),
        origin: description.origin.to_string(),
        settings: description.settings.clone(),
    };
    let mut race = race(case, tally);
    race.failure_bound = verdict.failure_bound;
    race.no_bound = verdict.no_bound.clone();
    let bounds = case.checks.latency.iter().zip(&verdict.latency);
    race.latency_bounds = bounds.map(|(bound, check)| latency_bound(bound, check)).collect();
    race.sometimes = verdict.sometimes.iter().map(sometimes).collect();
    let report = CaseReport {
        id: case.id.clone(),
        axes: values(&case.axes),
        params: values(&case.params),
        targets: described.map(target).collect(),
        verdict: verdict.verdict.into(),
        reasons: verdict.reasons.clone(),
        elapsed_ns: as_ns(elapsed),
        race,
        controls,
        controlled: Some(case.controlled),
        warnings: targets.iter().flat_map(|description| description.warnings.clone()).collect(),
    };
    // What is written must pass what a reader asks of it.
    if let Err(error) = check_case(&report) {
        panic!("{error}");
    }
    report
}

/// The report of a finished control; `case` is the control's own case.
pub fn control_report(case: &Case, tally: &CaseTally, verdict: &ControlVerdict) -> ControlReport {
    let control = case.control.as_ref().expect("the case of a control has one");
    let mut report = ControlReport {
        name: control.name.clone(),
        case: Some(base_id(case).to_owned()),
        why: control.why.clone(),
        breaks: control.breaks.clone(),
        verdict: ControlVerdictWord::Survived,
        round: None,
        check: None,
        expected: None,
        observed: None,
        reason: None,
        place: Some(control.place.to_string()),
        race: race(case, tally),
    };
    match verdict {
        ControlVerdict::Caught { round, check, expected, observed } => {
            report.verdict = ControlVerdictWord::Caught;
            report.round = *round;
            report.check = Some(check.clone());
            report.expected = Some(expected.clone());
            report.observed = Some(observed.clone());
        }
        ControlVerdict::Survived { broke, .. } => {
            let broke: Vec<String> = broke.iter().map(ToString::to_string).collect();
            report.reason = (!broke.is_empty()).then(|| format!("what broke is {}", broke.join(", ")));
        }
        ControlVerdict::Disturbed { reason, .. } => {
            report.verdict = ControlVerdictWord::Disturbed;
            report.reason = Some(reason.clone());
        }
        ControlVerdict::Invalid { round, reason } => {
            report.verdict = ControlVerdictWord::Invalid;
            report.round = *round;
            report.reason = Some(reason.clone());
        }
        ControlVerdict::AwaitsGrowth => report.verdict = ControlVerdictWord::AwaitsGrowth,
    }
    report
}

/// The report of a judged growth check.
pub fn growth_report(growth: &Growth, verdict: &GrowthVerdict) -> GrowthReport {
    let point =
        |point: &judge::GrowthPoint| GrowthPointReport { case: point.case.clone(), x: point.x, y_ns: point.y_ns };
    GrowthReport {
        name: verdict.name.clone(),
        control: verdict.control.clone(),
        metric: growth.metric.clone(),
        over: growth.over.clone(),
        others: values(&verdict.others),
        points: verdict.points.iter().map(point).collect(),
        exponent: verdict.fit.map(|fit| fit.exponent),
        spread: verdict.fit.map(|fit| fit.spread),
        at_most: growth.at_most,
        verdict: verdict.verdict.into(),
        reason: verdict.reason.clone(),
        place: Some(growth.place.to_string()),
    }
}

/// The outward form of `[compare]`.
pub fn compare_rule(compare: &Compare) -> CompareRule {
    CompareRule { gate: compare.gate.clone(), threshold: compare.threshold }
}

/// A tally's outward form.
pub fn counts(tally: &Tally) -> Counts {
    tally.occurred().map(|(kind, count)| (kind.into(), count)).collect()
}

/// A histogram's outward form, with the quantiles that it supports.
pub fn distribution(histogram: &Histogram) -> Distribution {
    Distribution {
        count: histogram.len(),
        min: histogram.min(),
        p50: histogram.quantile(0.5),
        p90: histogram.quantile(0.9),
        p99: histogram.quantile(0.99),
        p999: histogram.quantile(0.999),
        max: histogram.max(),
        histogram: histogram.encode(),
    }
}

fn race(case: &Case, tally: &CaseTally) -> Race {
    let mut mixes: Vec<Mix> =
        tally.mixes.iter().map(|(mix, rounds)| Mix { counts: counts(mix), rounds: *rounds }).collect();
    mixes.sort_by_key(|mix| std::cmp::Reverse(mix.rounds));
    let mut refusals: Vec<RefusalReport> = tally
        .refusals
        .iter()
        .map(|(key, refusal)| RefusalReport {
            outcome: key.kind.into(),
            step: key.step.clone(),
            code: key.code.clone(),
            count: refusal.count,
            rounds: Some(refusal.rounds),
            example: refusal.example.to_string(),
        })
        .collect();
    refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.count));
    let invariants = case.checks.invariants.iter().zip(&tally.invariants);
    Race {
        workers: case.workers.len() as u64,
        rounds_planned: case.rounds,
        rounds: tally.rounds,
        rounds_failed: tally.failed,
        rounds_inconclusive: tally.open,
        first_failed: tally.first_failed,
        raced: (case.workers.len() > 1).then_some(tally.raced),
        ordered: case.ordered.clone(),
        head_starts: (tally.head_starts.rounds > 0)
            .then(|| HeadStartsReport { rounds: tally.head_starts.rounds, counts: counts(&tally.head_starts.tally) }),
        failure_bound: None,
        no_bound: None,
        counts: counts(&tally.tally),
        groups: (0..case.groups.len()).map(|group| group_report(case, tally, group)).collect(),
        expectations: expectations(case, tally),
        mixes,
        other_mixes: tally.other_mixes,
        attempts: latency(&tally.attempts),
        steps: tally
            .steps
            .iter()
            .map(|step| StepReport { name: step.name.clone(), latency: latency(&step.outcomes) })
            .collect(),
        barriers: case
            .barriers
            .iter()
            .zip(&tally.barriers)
            .map(|(spec, sum)| barrier(&spec.name, spec.parties.len(), sum))
            .collect(),
        overlap: distribution(&tally.overlap),
        makespan: distribution(&tally.makespan),
        invariants: invariants
            .map(|(invariant, sum)| InvariantReport {
                name: invariant.name.clone(),
                that: invariant.that.source().to_owned(),
                held: sum.held,
                broken: sum.broken,
                unevaluated: sum.undefined + sum.undecided,
                undecided: sum.undecided,
                place: Some(invariant.place.to_string()),
            })
            .collect(),
        latency_bounds: Vec::new(),
        sometimes: Vec::new(),
        refusals,
        other_refusals: tally.other_refusals,
        kept: tally.kept.iter().map(|kept| round_report(case, kept)).collect(),
    }
}

/// The worker groups of a case before its first round.
pub fn groups(case: &Case) -> Vec<GroupReport> {
    let tally = CaseTally::new(case);
    (0..case.groups.len()).map(|group| group_report(case, &tally, group)).collect()
}

fn group_report(case: &Case, tally: &CaseTally, index: usize) -> GroupReport {
    let group = &case.groups[index];
    let members = case.workers.iter().filter(|worker| worker.group == index);
    let isolation = members.clone().find_map(|worker| worker.transaction).map(|it| it.isolation.as_str().to_owned());
    GroupReport {
        name: group.name.clone(),
        workers: members.count() as u64,
        repeat: group.repeat,
        transaction: isolation,
        steps: group.steps.iter().map(|step| step_plan(case, step)).collect(),
        counts: counts(&tally.groups[index]),
    }
}

fn step_plan(case: &Case, step: &Step) -> StepPlan {
    let (action, text) = match &step.action {
        Action::Barrier(barrier) => ("barrier", case.barriers[*barrier].name.clone()),
        Action::Sleep(_) => ("sleep", String::new()),
        Action::Assert(expression) => ("assert", expression.source().to_owned()),
        Action::Let(bindings) => {
            let texts: Vec<String> =
                bindings.iter().map(|(name, expression)| format!("{name} = {}", expression.source())).collect();
            ("let", texts.join("; "))
        }
        Action::Call { .. } => case.request(step).map_or(("", String::new()), |it| {
            (it.request.spec.word, it.request.statement().unwrap_or_default().to_owned())
        }),
    };
    StepPlan { name: step.name.clone(), action: action.to_owned(), text }
}

/// The rows of the table of expected and observed counts: every outcome that is named, occurred, or broke something.
fn expectations(case: &Case, tally: &CaseTally) -> Vec<ExpectationRow> {
    let mut rows = Vec::new();
    let scopes = std::iter::once(None).chain(case.checks.by_group.keys().copied().map(Some));
    for group in scopes {
        let (total, scope) = group.map_or((&tally.tally, 0), |group| (&tally.groups[group], group + 1));
        let name = group.map(|group| case.groups[group].name.clone());
        let alternatives = match group {
            Some(group) => std::slice::from_ref(&case.checks.by_group[&group]),
            None => &case.checks.expect,
        };
        for kind in OutcomeKind::ALL {
            let broken = tally.broken.get(&(name.clone(), kind.as_str().to_owned())).copied().unwrap_or(0);
            let naming = alternatives.iter().find(|expectation| expectation.counts.contains_key(&kind));
            if naming.is_some() || total.of(kind) > 0 || broken > 0 {
                rows.push(ExpectationRow {
                    group: name.clone(),
                    outcome: kind.into(),
                    expected: judge::expected_text(case, group, kind),
                    least: tally.least[scope].of(kind),
                    most: tally.most[scope].of(kind),
                    total: total.of(kind),
                    rounds_broken: broken,
                    place: naming.or(alternatives.first()).map(|expectation| expectation.place_of(kind).to_string()),
                });
            }
        }
    }
    rows
}

/// What a worker was doing, in the words of a message: a step's name, or the barrier that it waited at.
fn doing(case: &Case, group: usize, step: StepAt) -> String {
    match case.groups[group].step(step).map(|step| &step.action) {
        Some(Action::Barrier(barrier)) => format!("barrier `{}`", case.barriers[*barrier].name),
        _ => step_name(case, group, step).to_owned(),
    }
}

fn latency(outcomes: &BTreeMap<OutcomeKind, Clocks>) -> LatencyReport {
    LatencyReport {
        all: clocks(&judge::all_outcomes(outcomes)),
        outcomes: outcomes.iter().map(|(kind, measured)| ((*kind).into(), clocks(measured))).collect(),
    }
}

fn clocks(clocks: &Clocks) -> ClocksReport {
    ClocksReport { since_release: distribution(&clocks.since_release), own: distribution(&clocks.own) }
}

fn barrier(name: &str, parties: usize, tally: &BarrierTally) -> BarrierReport {
    BarrierReport {
        name: name.to_owned(),
        parties: parties as u64,
        released: tally.released,
        released_with_head_start: tally.released_with_head_start,
        broken: tally.broken,
        arrived: tally.arrived,
        failed: tally.failed,
        blocked: tally.blocked,
        late: tally.late,
        skew: distribution(&tally.skew),
    }
}

fn latency_bound(bound: &LatencyBound, check: &judge::LatencyCheck) -> LatencyBoundReport {
    LatencyBoundReport {
        key: check.key.clone(),
        at_most_ns: as_ns(check.at_most),
        observed_ns: check.observed.map(as_ns),
        operations: check.operations,
        needed: check.needed,
        verdict: check.verdict.into(),
        place: Some(bound.place.to_string()),
    }
}

fn sometimes(check: &judge::SometimesCheck) -> SometimesReport {
    SometimesReport { outcome: check.kind.into(), expected: check.expected.to_string(), rounds: check.rounds }
}

/// The outward form of a round kept in full.
pub(super) fn round_report(case: &Case, kept: &KeptRound) -> RoundReport {
    let KeptRound { record, exchanges, judgement } = kept;
    RoundReport {
        round: record.round,
        since_setup: Some(record.since_setup),
        verdict: judgement.verdict().into(),
        failures: judgement.failures.iter().map(failure).collect(),
        inconclusive: judgement.open.clone(),
        counts: counts(&judgement.tally),
        overlap: record.overlap,
        makespan_ns: as_ns(record.makespan),
        attempts: record.attempts.iter().enumerate().map(|(index, it)| attempt(case, it, index, exchanges)).collect(),
        barriers: case
            .barriers
            .iter()
            .zip(&record.barriers)
            .map(|(spec, it)| barrier_round(case, &spec.name, it))
            .collect(),
        invariants: case
            .checks
            .invariants
            .iter()
            .zip(&record.invariants)
            .map(|(invariant, result)| invariant_round(&invariant.name, result))
            .collect(),
    }
}

fn failure(failure: &Failure) -> FailureReport {
    FailureReport {
        check: failure.check.clone(),
        kind: match failure.kind {
            FailureKind::Count => FailureKindWord::Count,
            FailureKind::Invariant => FailureKindWord::Invariant,
            FailureKind::Undefined => FailureKindWord::Unevaluated,
        },
        group: failure.group.clone(),
        expected: failure.expected.clone(),
        observed: failure.observed.clone(),
        place: failure.place.as_ref().map(ToString::to_string),
    }
}

fn attempt(case: &Case, attempt: &Attempt, index: usize, exchanges: &KeptExchanges) -> AttemptReport {
    let group = case.workers[attempt.worker].group;
    let steps = attempt.steps.iter().zip(ends(case, attempt)).enumerate().map(|(position, (step, end))| {
        let KeptExchange { request, result } = exchanges.get(index, position);
        StepRoundReport {
            step: step_name(case, group, step.step).to_owned(),
            outcome: step.outcome.into(),
            started_ns: step.started_ns,
            ended_ns: step.ended_ns,
            released_ns: step.released_ns,
            request: request.as_ref().map(Value::to_json),
            result: result.as_ref().map(Value::to_json),
            end,
        }
    });
    AttemptReport {
        worker: attempt.worker as u64,
        group: case.groups[group].name.clone(),
        outcome: attempt.outcome.kind.into(),
        step: attempt.outcome.step.map(|step| step_name(case, group, step).to_owned()),
        cause: attempt.outcome.cause.map(CauseWord::from),
        code: attempt.outcome.code.clone(),
        message: attempt.outcome.message.to_string(),
        started_ns: attempt.started_ns,
        ended_ns: attempt.ended_ns,
        released_ns: attempt.released_ns,
        steps: steps.collect(),
    }
}

fn barrier_round(case: &Case, name: &str, record: &BarrierRecord) -> BarrierRoundReport {
    let arrivals = record.arrivals.iter().map(|arrival| {
        let (how, by) = match &arrival.kind {
            ArrivalKind::Arrived => (ArrivalWord::Arrived, Vec::new()),
            ArrivalKind::Failed => (ArrivalWord::Failed, Vec::new()),
            ArrivalKind::Blocked { by } => (ArrivalWord::Blocked, by.iter().map(|worker| *worker as u64).collect()),
            ArrivalKind::Late => (ArrivalWord::Late, Vec::new()),
        };
        ArrivalReport { worker: arrival.worker as u64, how, at_ns: arrival.at_ns, by }
    });
    let missing = record.missing.iter().map(|missing| MissingReport {
        worker: missing.worker as u64,
        step: missing.step.map(|step| doing(case, case.workers[missing.worker].group, step)),
        for_ns: missing.for_ns,
        waits_for: missing.waits_for.clone(),
    });
    BarrierRoundReport {
        name: name.to_owned(),
        released_ns: record.released_ns,
        skew_ns: record.skew_ns,
        arrivals: arrivals.collect(),
        missing: missing.collect(),
    }
}

fn invariant_round(name: &str, result: &InvariantResult) -> InvariantRoundReport {
    let (result, detail) = match result {
        InvariantResult::Held => (InvariantWord::Held, String::new()),
        InvariantResult::Broken { observed } => (InvariantWord::Broken, observed.clone()),
        InvariantResult::Depends { holds_for, observed } => {
            let numbers: Vec<String> = holds_for.iter().map(u64::to_string).collect();
            let detail =
                format!("it holds only if {} of the unknown attempts took effect; {observed}", numbers.join(" or "));
            (InvariantWord::Unevaluated, detail)
        }
        InvariantResult::Unread { reason } => (InvariantWord::Unevaluated, format!("it was not read: {reason}")),
        InvariantResult::Undefined { reason } => (InvariantWord::Unevaluated, format!("it has no value: {reason}")),
    };
    InvariantRoundReport { name: name.to_owned(), result, detail }
}

/// Values by name, as JSON. URLs lose their credentials, in lists and tables too.
pub fn values(values: &BTreeMap<String, Value>) -> BTreeMap<String, serde_json::Value> {
    values.iter().map(|(name, value)| (name.clone(), without_logins(value.to_json()))).collect()
}

fn without_logins(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::String(text) => shown(&text).into(),
        serde_json::Value::Array(items) => items.into_iter().map(without_logins).collect(),
        serde_json::Value::Object(entries) => {
            entries.into_iter().map(|(name, value)| (name, without_logins(value))).collect()
        }
        value => value,
    }
}
