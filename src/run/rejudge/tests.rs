use super::*;
use crate::run::Stop;
use crate::run::tests::{planned, raced};

const RACE: &str = r#"
    schema = 1
    name = "race"
    rounds = 5
    [targets.store]
    driver = "event-store"
    backend = "memory"
    [steps.a]
    append = { actor = "a-${round}", version = 1, type = "T", pause = "checked" }
    [steps.b]
    latest_version = { actor = "a-${round}" }
    [[workers]]
    name = "v"
    count = 3
    steps = [{ name = "odd", assert = "worker != 2" }, "b", "a"]
    [expect]
    success = 1
    conflict = 1
    rejected = 1
"#;

const CONTROL: &str = r#"
    [[controls]]
    name = "typo"
    why = "it reads a snapshot that nobody took"
    replace = { b = { latest_snapshot = { actor = "nosuch" } } }
    breaks = ["success"]
"#;

/// The rows of a race, as far as these tests need them in an order.
fn rows(case: &str, control: &str, race: &Race) -> Vec<StoredRound> {
    let mixes = race.mixes.iter().flat_map(|mix| (0..mix.rounds).map(|_| tally_of(&mix.counts)));
    let row = |(round, tally)| StoredRound {
        scenario: "race".to_owned(),
        case: case.to_owned(),
        control: control.to_owned(),
        round,
        since_setup: None,
        tally,
        groups: None,
        head_start: None,
        overlap: race.workers,
        invariants: Some(StoredInvariants::default()),
    };
    (0..).zip(mixes).map(row).collect()
}

/// What is said of a race by `before`, by `now`.
async fn judged(before: &str, now: &str) -> (Verdict, Verdict, Vec<String>) {
    let (ended, report) = raced(before, &[], &Stop::default(), &mut |_| ()).await;
    ended.unwrap();
    let mut rejudge = Rejudge::new(&report.scenarios[0], planned(now));
    for case in &report.scenarios[0].cases {
        rows(&case.id, "", &case.race).iter().for_each(|row| rejudge.add(row));
        for control in &case.controls {
            rows(&case.id, &control.name, &control.race).iter().for_each(|row| rejudge.add(row));
        }
    }
    let mut rejudged = rejudge.end().unwrap();
    assert_eq!(rejudged.cases.len(), 1);
    let CaseChange { before, after, reasons_after, .. } = rejudged.cases.remove(0);
    (before, after, reasons_after)
}

#[tokio::test]
async fn no_round_passes_because_rows_do_not_say_where_its_attempts_ended() {
    let expecting = |count: &str, at: &str| {
        let conflict = format!("conflict = {{ count = {count}, at = \"{at}\" }}");
        RACE.replace("conflict = 1", &conflict)
    };
    let failed = expecting("1", "b");
    let (before, after, reasons) = judged(&failed, &failed).await;
    assert_eq!((before, after), (Verdict::Fail, Verdict::Fail));
    assert_eq!(reasons, ["`conflict` was not 1 at b in 5 of 5 rounds, as recorded"]);
    let (_, after, _) = judged(&failed, &format!("{failed}\n# another file, of which all is the same\n")).await;
    assert_eq!(after, Verdict::Fail);
    let (_, after, reasons) = judged(&failed, &expecting("\">= 0\"", "b")).await;
    assert_eq!((after, reasons), (Verdict::Inconclusive, vec![UNTOLD.to_owned()]));
    // The report has all places of all rounds.
    let (_, after, reasons) = judged(&failed, &expecting("1", "a")).await;
    assert_eq!(after, Verdict::Pass, "{reasons:?}");
    let (_, after, _) = judged(RACE, &expecting("1", "b")).await;
    assert_eq!(after, Verdict::Inconclusive);
}

#[tokio::test]
async fn an_invalid_control_is_not_taken_for_one_that_is_caught() {
    let text = format!("{RACE}{CONTROL}");
    let (before, after, reasons) = judged(&text, &text).await;
    assert_eq!((before, after), (Verdict::Fail, Verdict::Fail));
    assert!(reasons[0].starts_with("control `typo` is invalid and proves nothing"), "{reasons:?}");
    for changed in [
        text.replace("[\"success\"]", "[\"success\", \"conflict\"]"),
        text.replace("conflict = 1", "conflict = \"<= 1\""),
    ] {
        let (_, after, reasons) = judged(&text, &changed).await;
        assert_eq!(after, Verdict::Inconclusive, "{reasons:?}");
        assert!(reasons[0].contains("was invalid when this was raced"), "{reasons:?}");
    }
    let caught = text.replace("replace = { b = { latest_snapshot = { actor = \"nosuch\" } } }", "replace = { b = { latest_version = { actor = \"x\" } }, a = { append = { actor = \"a-${round}-${worker}\", version = 1, type = \"T\" } } }");
    let (before, after, reasons) = judged(&caught, &caught.replace("conflict = 1", "conflict = \"<= 1\"")).await;
    assert_eq!((before, after), (Verdict::Pass, Verdict::Pass), "{reasons:?}");
}
