//! What a round is called, who goes first in it, and whether its workers met at all.

use std::path::Path;

use crate::cli::Cli;

/// A scenario of two writers on the memory store, whose last tables are `rest`: the writers' own keys come first.
fn two_writers(name: &str, rest: &str) -> String {
    format!(
        r#"
schema = 1
name   = "{name}"
rounds = 3

[targets.store]
driver  = "event-store"
backend = "memory"
guard   = "none"

[[workers]]
name  = "writer"
count = 2
{rest}"#
    )
}

/// Rows of earlier rounds stay, so that the invariant knows which round since set-up it is.
const TALLIED: &str = r#"steps = [{ append = { actor = "a-${worker}", version = "${round + 1}", type = "T", data = { id = "${round_id}" } } }]

[expect]
success = 2

[[invariants]]
name   = "one event of each round so far"
events = { actor = "a-0" }
that   = "size(events) == round + 1 && distinct(events.map(e, e.data.id)) == events.map(e, e.data.id)"
"#;

#[test]
fn every_pass_sets_up_again_and_counts_its_rounds_from_nought() {
    let ended = Cli::new()
        .scenario(&two_writers("tallied", TALLIED))
        .args(["run", "--for", "300ms"])
        .run()
        .exits(0)
        .stdout_has("PASS tallied");
    let race = &ended.report().scenarios[0].cases[0].race;
    assert_eq!(race.rounds_failed, 0);
    assert!(race.kept.iter().all(|kept| kept.since_setup == Some(kept.round)), "those of the first pass are kept");
}

#[test]
fn a_round_of_a_later_pass_is_told_by_its_place_after_set_up() {
    // The run's random name decides: nothing but the third round fails, and only from some pass on.
    let text = two_writers("tallied", TALLIED)
        .replace("size(events) == round + 1", "size(events) == round + 1 && (round < 2 || round_id % 4294967296 < 5)");
    let ended = Cli::new().scenario(&text).args(["run", "--until-fail"]).run().exits(1);
    ended
        .stdout_has("1 of 6 rounds failed: round 5, the 3rd after set-up")
        .stdout_has("round 5, the 3rd after set-up, failed");
}

/// Nobody meets anybody: each worker comes when the one before it has long ended.
const APART: &str = r#"steps = [{ sleep = "${200 * worker}ms" }, { append = { actor = "a-${round}", version = 1, type = "T" } }]

[expect]
success  = 1
conflict = 1
"#;

#[test]
fn workers_that_only_sleep_at_the_same_time_prove_nothing() {
    let ended = Cli::new().scenario(&two_writers("apart", APART)).args(["run"]).run().exits(4);
    ended.stdout_has("INCONCLUSIVE apart").stdout_has("raced in 0 of 3 rounds").stdout_has("vacuous");
}

#[test]
fn a_case_that_orders_its_workers_on_purpose_passes_without_a_bound() {
    let text = two_writers("apart", APART)
        .replace("rounds = 3", "rounds = 3\nordered = { why = \"the second comes after the first\" }");
    let ended = Cli::new().scenario(&text).args(["run"]).run().exits(0);
    ended.stdout_has("PASS apart").stdout_has("; ordered, not raced").stdout_lacks("of rounds fail");
}

#[test]
fn one_worker_alone_races_nobody_and_is_not_vacuous() {
    let text = two_writers("apart", APART).replace("count = 2\n", "").replace("conflict = 1\n", "");
    let ended = Cli::new().scenario(&text).args(["run"]).run().exits(0);
    ended.stdout_has("PASS apart").stdout_lacks("raced in").stdout_has("no bound: it takes 20 rounds");
}

/// What `rounds.csv` of a folder says in these columns, by round.
fn columns(folder: &Path, names: &[&str]) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(folder.join("rounds.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let places = names.iter().map(|name| headers.iter().position(|header| header == *name).unwrap());
    let places: Vec<usize> = places.collect();
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| places.iter().map(|place| row[*place].to_owned()).collect()).collect()
}

#[test]
fn a_round_is_raced_again_in_its_order_and_with_its_head_start() {
    let cli = Cli::new().scenario(&two_writers("tallied", TALLIED));
    let ended = cli.clone().args(["run", "--rounds", "40"]).run().exits(0);
    let folder = ended.folder();
    let names = ["order", "sessions", "head_start", "head_start_us"];
    let raced = columns(&folder, &names);
    let with_head_start = raced.iter().filter(|row| !row[3].is_empty()).count() as u64;
    assert!((1..=10).contains(&with_head_start), "one round of four, once a step's duration is known: {raced:?}");
    let race = &ended.report().scenarios[0].cases[0].race;
    assert_eq!((race.rounds, race.makespan.count), (40, 40 - with_head_start), "a head start is not measured");
    assert_eq!(race.head_starts.as_ref().map(|it| it.rounds), Some(with_head_start));

    let nobody = format!("{}#3", folder.display());
    let ended = cli.clone().args(["run", "--again", &nobody, "--filter", "nosuch"]).run().exits(64);
    ended.stderr_has("matches `--filter nosuch`");

    let ahead = raced.iter().rposition(|row| !row[3].is_empty()).unwrap();
    let plain = raced.iter().rposition(|row| row[3].is_empty()).unwrap();
    for round in [ahead, plain] {
        let out = format!("again-{round}");
        let again = format!("{}#{round}", folder.display());
        // By itself it may be inconclusive: those held back may have come when the others had ended.
        cli.clone().args(["run", "--again", &again, "--out", &out]).run().stdout_has("1 round of 2 workers");
        let stored = std::fs::read_dir(cli.work().join(&out)).unwrap().next().unwrap().unwrap();
        assert_eq!(columns(&stored.path(), &names), [raced[round].clone()], "round {round}");
    }
}
