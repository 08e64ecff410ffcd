//! Nothing of a random race is lost, and nothing is counted twice.

use proptest::prelude::*;

use crate::engine::testing::Stage;
use crate::judge::{CaseTally, judge_round};
use crate::model::record::ArrivalKind;
use crate::outcome::{OutcomeKind, Tally};

/// A step of a random scenario.
#[derive(Debug, Clone)]
enum Script {
    Sql(&'static str),
    Barrier(usize),
    Sleep(u64),
}

/// What the steps of a group lead to when no barrier breaks: the outcome, and the barriers that come before it.
fn expected(steps: &[Script]) -> OutcomeKind {
    let end = steps.iter().find_map(|step| match step {
        Script::Sql("panic") => Some(OutcomeKind::Crash),
        Script::Sql("hang") => Some(OutcomeKind::Timeout),
        Script::Sql(text) => text.strip_prefix("refuse ").map(|kind| kind.parse().unwrap()),
        Script::Barrier(_) | Script::Sleep(_) => None,
    });
    end.unwrap_or(OutcomeKind::Success)
}

fn any_step() -> impl Strategy<Value = Script> {
    let sql = ["done", "row", "slow 3ms", "hang", "panic", "lock a", "lock b", "refuse conflict", "refuse unknown"];
    prop_oneof![
        6 => prop::sample::select(sql.to_vec()).prop_map(Script::Sql),
        2 => (0usize..2).prop_map(Script::Barrier),
        1 => (0u64..20).prop_map(Script::Sleep),
    ]
}

/// Groups of up to three workers, who take each barrier at most once.
fn any_groups() -> impl Strategy<Value = Vec<(usize, Vec<Script>)>> {
    let steps = prop::collection::vec(any_step(), 1..6).prop_map(|mut steps| {
        let mut seen = [false; 2];
        steps.retain(|step| !matches!(step, Script::Barrier(barrier) if std::mem::replace(&mut seen[*barrier], true)));
        steps
    });
    prop::collection::vec((1usize..4, steps), 1..4)
}

fn tables(groups: &[(usize, Vec<Script>)]) -> String {
    let step = |step: &Script| match step {
        Script::Sql(text) => format!("{{ sql = \"{text}\", timeout = \"900ms\" }}"),
        Script::Barrier(barrier) => format!("{{ barrier = \"b{barrier}\", timeout = \"2s\" }}"),
        Script::Sleep(millis) => format!("{{ sleep = \"{millis}ms\" }}"),
    };
    let table = |(index, (count, steps)): (usize, &(usize, Vec<Script>))| {
        let steps: Vec<String> = steps.iter().map(step).collect();
        format!(
            "[[workers]]\nname = \"g{index}\"\ncount = {count}\ntransaction = \"read committed\"\nsteps = [{}]\n",
            steps.join(", ")
        )
    };
    groups.iter().enumerate().map(table).collect()
}

/// Races `groups` a few times, and checks that every attempt is there once and every party of every barrier is
/// accounted for once.
async fn conserved(groups: &[(usize, Vec<Script>)]) {
    let mut stage = Stage::open(&tables(groups)).await;
    let case = stage.case.clone();
    let mut sum = CaseTally::new(&case);
    for number in 0..3 {
        let round = stage.round(number).await;
        let workers: Vec<usize> = round.attempts.iter().map(|attempt| attempt.worker).collect();
        assert_eq!(workers, (0..case.workers.len()).collect::<Vec<_>>(), "one attempt per worker, by number");
        for attempt in &round.attempts {
            let (_, steps) = &groups[case.workers[attempt.worker].group];
            let allowed = [expected(steps), OutcomeKind::BrokenBarrier, OutcomeKind::Timeout];
            assert!(allowed.contains(&attempt.outcome.kind), "{:?} of {steps:?}", attempt.outcome);
            assert!(attempt.started_ns <= attempt.ended_ns);
        }
        for (spec, barrier) in case.barriers.iter().zip(&round.barriers) {
            let came = barrier.arrivals.iter().filter(|arrival| arrival.kind != ArrivalKind::Late);
            let mut parties: Vec<usize> = came.map(|arrival| arrival.worker).collect();
            parties.extend(barrier.missing.iter().map(|missing| missing.worker));
            parties.sort_unstable();
            assert_eq!(parties, spec.parties, "barrier `{}`: {barrier:?}", spec.name);
            assert_eq!(barrier.released_ns.is_some(), barrier.missing.is_empty(), "{barrier:?}");
        }
        // Panics if anything does not add up.
        sum.add(&case, &round, &judge_round(&case, &round));
    }
    assert_eq!(sum.tally.total(), 3 * case.workers.len() as u64);
    assert_eq!(sum.groups.iter().map(Tally::total).sum::<u64>(), sum.tally.total());
    stage.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_workers_do_no_outcome_is_lost_and_no_party_forgotten(groups in any_groups()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(conserved(&groups));
    }
}
