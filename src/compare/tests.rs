//! Comparisons of runs made up for it.

use super::*;
use crate::report::example;
use crate::statistics::tests::latencies;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

/// A run of one case whose rounds ended as told, with `slow` times the latency.
pub(crate) fn run(rounds: &[&str], slow: f64, seed: u64) -> (Report, Samples) {
    let mut report = example::report();
    report.skipped.clear();
    report.scenarios[0].cases = vec![example::case(rounds, &["3 success"])];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut metric =
        |centre: f64| -> RoundValues { (0..).zip(latencies(&mut rng, rounds.len(), centre * slow, 0.05)).collect() };
    let metrics = [("makespan", 2e6), ("p50", 1e6), ("append.p50", 5e5)];
    let metrics = metrics.map(|(name, centre)| (name.to_owned(), metric(centre)));
    let cases = [("race[backend=memory]".to_owned(), metrics.into())].into();
    (report, Samples { cases, ..Samples::default() })
}

pub(crate) const USUAL: [&str; 40] = ["1 success, 2 conflict"; 40];

pub(crate) fn compared(base: &(Report, Samples), head: &(Report, Samples), options: &Options) -> Comparison {
    let side = |name, (report, samples): &'static (Report, Samples)| Side { name, report, samples };
    // Leaked, so that tests need not name every value.
    compare(side("main", Box::leak(Box::new(base.clone()))), side("fix", Box::leak(Box::new(head.clone()))), options)
}

fn fail_on(what: FailOn) -> Options {
    Options { fail_on: [what].into(), ..Options::default() }
}

fn gate(comparison: &Comparison) -> &MetricComparison {
    &comparison.cases[0].latency[0]
}

#[test]
fn a_run_is_equivalent_to_its_like() {
    let comparison = compared(&run(&USUAL, 1.0, 1), &run(&USUAL, 1.0, 2), &fail_on(FailOn::Change));
    assert_eq!(comparison.verdict, RunVerdictWord::Pass, "{:?}", comparison.reasons);
    assert_eq!(comparison.cases[0].outcomes.change, OutcomeChangeWord::Same);
    assert_eq!((gate(&comparison).metric.as_str(), gate(&comparison).change), ("makespan", ChangeWord::Equivalent));
    assert_eq!(comparison.changes, []);
}

#[test]
fn a_slower_run_fails_only_when_asked() {
    let (base, head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.4, 2));
    let quiet = compared(&base, &head, &Options::default());
    assert_eq!(gate(&quiet).change, ChangeWord::Regressed);
    assert_eq!(quiet.verdict, RunVerdictWord::Pass);
    let asked = compared(&base, &head, &fail_on(FailOn::Regression));
    assert_eq!(asked.verdict, RunVerdictWord::Regression);
    assert_eq!(compared(&head, &base, &fail_on(FailOn::Regression)).verdict, RunVerdictWord::Pass);
    assert_eq!(compared(&head, &base, &fail_on(FailOn::Change)).verdict, RunVerdictWord::Regression);
    let lenient = Options { thresholds: [("makespan".to_owned(), 0.8)].into(), ..fail_on(FailOn::Regression) };
    assert_eq!(compared(&base, &head, &lenient).verdict, RunVerdictWord::Pass);
}

#[test]
fn the_scenario_names_the_gate_and_its_threshold() {
    let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.4, 2));
    head.0.scenarios[0].compare = Some(CompareRule { gate: Some("append.p50".to_owned()), threshold: Some(0.9) });
    let comparison = compared(&base, &head, &Options::default());
    let gate = gate(&comparison);
    assert_eq!((gate.metric.as_str(), gate.gate, gate.threshold), ("append.p50", true, 0.9));
    assert_eq!(gate.change, ChangeWord::Equivalent);
    assert_eq!(comparison.cases[0].latency.iter().filter(|metric| metric.gate).count(), 1);
    head.0.scenarios[0].compare = Some(CompareRule { gate: Some("scan.p50".to_owned()), threshold: None });
    let missing = compared(&base, &head, &fail_on(FailOn::Inconclusive));
    assert_eq!(missing.verdict, RunVerdictWord::Inconclusive, "a gate without samples says nothing");
}

#[test]
fn verdicts_and_exact_counts_are_no_noise() {
    let mut wrong = USUAL;
    wrong[7] = "2 success, 1 conflict";
    let (good, bad) = (run(&USUAL, 1.0, 1), run(&wrong, 1.0, 2));
    let worse = compared(&good, &bad, &Options::default());
    assert_eq!((worse.cases[0].outcomes.change, worse.verdict), (OutcomeChangeWord::Worse, RunVerdictWord::Regression));
    let better = compared(&bad, &good, &Options::default());
    assert_eq!((better.cases[0].outcomes.change, better.verdict), (OutcomeChangeWord::Better, RunVerdictWord::Pass));
}

/// A run of which this number of rounds has two winners.
fn broken(rounds: usize, seed: u64) -> (Report, Samples) {
    let mut wrong = USUAL;
    wrong[..rounds].fill("2 success, 1 conflict");
    run(&wrong, 1.0, seed)
}

#[test]
fn where_both_fail_only_more_broken_rounds_than_chance_has_are_a_regression() {
    let change = |base, head| {
        let comparison = compared(&broken(base, 1), &broken(head, 2), &Options::default());
        (comparison.cases[0].outcomes.change, comparison.verdict)
    };
    assert_eq!(change(1, 2), (OutcomeChangeWord::Same, RunVerdictWord::Pass));
    assert_eq!(change(20, 23), (OutcomeChangeWord::Same, RunVerdictWord::Pass));
    assert_eq!(change(3, 30), (OutcomeChangeWord::Changed, RunVerdictWord::Regression));
    assert_eq!(change(30, 3), (OutcomeChangeWord::Better, RunVerdictWord::Pass));
    assert_eq!(change(0, 1).1, RunVerdictWord::Regression, "BASE never deviated");
    let fewer = compared(&broken(30, 1), &broken(3, 2), &fail_on(FailOn::Change));
    assert_eq!(fewer.verdict, RunVerdictWord::Regression, "fewer is a change all the same");
}

#[test]
fn invariants_that_both_break_are_tested_too() {
    let change = |base: u64, head: u64| {
        let sides = [(base, 1), (head, 2)].map(|(rounds, seed)| {
            let mut side = run(&USUAL, 1.0, seed);
            side.0.scenarios[0].cases[0].race.invariants[0].broken = rounds;
            side
        });
        compared(&sides[0], &sides[1], &Options::default()).cases[0].outcomes.change
    };
    assert_eq!(change(0, 1), OutcomeChangeWord::Changed);
    assert_eq!(change(10, 12), OutcomeChangeWord::Same);
    assert_eq!(change(3, 30), OutcomeChangeWord::Changed);
    assert_eq!(change(30, 3), OutcomeChangeWord::Better);
}

/// The same run, of which the expectations are loosened and its failures so undone.
fn loosened((mut report, samples): (Report, Samples)) -> (Report, Samples) {
    let case = &mut report.scenarios[0].cases[0];
    case.verdict = VerdictWord::Pass;
    for row in &mut case.race.expectations {
        (row.expected, row.rounds_broken) = ("1..=2".to_owned(), 0);
    }
    (report, samples)
}

#[test]
fn a_loosened_expectation_hides_no_race() {
    let hidden = compared(&broken(0, 1), &loosened(broken(3, 2)), &Options::default());
    assert_eq!(hidden.verdict, RunVerdictWord::Regression);
    assert!(hidden.reasons[0].contains("success was 1 a round, and is 1..=2 a round"), "{:?}", hidden.reasons);
    assert!(hidden.reasons[0].contains("`1` was expected, and `1..=2` is"), "{:?}", hidden.reasons);
    let unused = compared(&broken(0, 1), &loosened(broken(0, 2)), &Options::default());
    assert_eq!(unused.verdict, RunVerdictWord::Pass, "{:?}", unused.reasons);
}

#[test]
fn an_expectation_of_a_group_that_only_one_side_has_is_no_changed_count() {
    let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
    let rows = &mut head.0.scenarios[0].cases[0].race.expectations;
    let of_group = rows.iter().cloned().map(|row| ExpectationRow { group: Some("writer".to_owned()), ..row });
    let of_group: Vec<ExpectationRow> = of_group.collect();
    rows.extend(of_group);
    for (base, head) in [(&base, &head), (&head, &base)] {
        let comparison = compared(base, head, &fail_on(FailOn::Change));
        assert_eq!(comparison.verdict, RunVerdictWord::Pass, "{:?}", comparison.reasons);
    }
}

#[test]
fn mixes_that_may_vary_are_weak_evidence_in_stored_runs() {
    let (base, head) = (loosened(broken(5, 1)), loosened(broken(35, 2)));
    let quiet = compared(&base, &head, &Options::default());
    let outcomes = &quiet.cases[0].outcomes;
    assert_eq!((outcomes.change, outcomes.weak), (OutcomeChangeWord::Changed, true));
    assert_eq!(quiet.verdict, RunVerdictWord::Pass);
    assert_eq!(compared(&base, &head, &fail_on(FailOn::Change)).verdict, RunVerdictWord::Regression);
    let pair = pair(&base, &head);
    let live = compare_live(&base.0.run, ["a", "b"], &[pair], &Options::default());
    assert_eq!(live.verdict, RunVerdictWord::Regression, "rounds raced in turns were taken at one time");
}

#[test]
fn who_wins_is_compared_where_it_may_vary() {
    let of = |adder: u64, seed| {
        let mut side = run(&USUAL, 1.0, seed);
        let mixes = [
            ("adder (1 success), remover (1 conflict)", adder),
            ("adder (1 conflict), remover (1 success)", 40 - adder),
        ];
        let mixes = mixes.map(|(mix, rounds)| (mix.to_owned(), rounds));
        side.1.groups.insert("race[backend=memory]".to_owned(), mixes.into());
        side
    };
    let changed = compared(&of(40, 1), &of(1, 2), &fail_on(FailOn::Change));
    assert_eq!(changed.cases[0].outcomes.change, OutcomeChangeWord::Changed, "the counts of whole rounds are the same");
    assert_eq!(changed.verdict, RunVerdictWord::Regression);
    assert_eq!(compared(&of(20, 1), &of(23, 2), &fail_on(FailOn::Change)).verdict, RunVerdictWord::Pass);
}

#[test]
fn what_is_not_comparable_is_named_and_refused() {
    let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
    head.0.run.machine.cores = 64;
    head.0.scenarios[0].cases[0].targets[0].version = "0.2.0".to_owned();
    let refused = compared(&base, &head, &Options::default());
    assert_eq!(refused.verdict, RunVerdictWord::NotComparable);
    assert_eq!(refused.differences.len(), 2, "{:?}", refused.differences);
    assert_eq!(refused.cases, []);
    let forced = compared(&base, &head, &Options { force: true, ..Options::default() });
    assert_eq!((forced.verdict, forced.differences.len(), forced.cases.len()), (RunVerdictWord::Pass, 2, 1));
    head.0.scenarios[0].cases[0].id = "race[backend=sqlite]".to_owned();
    let nothing = compared(&base, &head, &Options { force: true, ..Options::default() });
    assert_eq!(nothing.verdict, RunVerdictWord::NotComparable, "force cannot compare nothing");
    assert_eq!(nothing.only_in_base, ["race[backend=memory]"]);
}

#[test]
fn a_run_is_not_compared_with_itself_unless_forced() {
    let run = run(&USUAL, 1.0, 1);
    let refused = compared(&run, &run, &Options::default());
    assert_eq!(refused.verdict, RunVerdictWord::NotComparable);
    let told = words::difference(&refused.differences[0]);
    assert_eq!(told, "both sides are the same run: `20260131T120000Z-main-1a2b3c4`");
    let forced = compared(&run, &run, &Options { force: true, ..Options::default() });
    assert_eq!(forced.verdict, RunVerdictWord::Pass);
}

#[test]
fn changed_steps_and_expectations_are_told_and_never_refused() {
    let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
    let case = &mut head.0.scenarios[0].cases[0];
    case.race.groups[0].steps[0].text = "SELECT 1 FOR UPDATE".to_owned();
    case.race.expectations[0].expected = "1..=2".to_owned();
    case.params.insert("seats".to_owned(), 3.into());
    case.targets[0].settings.insert("guard".to_owned(), "none".to_owned());
    head.0.scenarios[0].hash = "11".repeat(32);
    let comparison = compared(&base, &head, &Options::default());
    assert_ne!(comparison.verdict, RunVerdictWord::NotComparable);
    let changed: Vec<&str> = comparison.changes.iter().map(|change| change.what.as_str()).collect();
    assert_eq!(changed.len(), 5, "{changed:?}");
}

#[test]
fn live_pairs_gate_on_latency() {
    let (base, head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.5, 2));
    let pair = pair(&base, &head);
    let comparison = compare_live(&base.0.run, ["guard=server", "guard=none"], &[pair], &Options::default());
    assert_eq!((comparison.form, comparison.verdict), (FormWord::Live, RunVerdictWord::Regression));
    assert_eq!(gate(&comparison).samples, 40);
}

/// The two runs' case as if it had been raced in turns.
fn pair(base: &(Report, Samples), head: &(Report, Samples)) -> LivePair {
    let live = |(report, samples): &(Report, Samples)| LiveCase {
        report: report.scenarios[0].cases[0].clone(),
        samples: samples.cases["race[backend=memory]"].clone(),
        groups: BTreeMap::new(),
    };
    LivePair {
        scenario: "race".to_owned(),
        rule: None,
        base: live(base),
        head: live(head),
        warm_up: WarmUp { base_ns: vec![9], head_ns: vec![9] },
    }
}
