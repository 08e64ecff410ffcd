//! A build has the drivers of its features, and no others: `cargo test --no-default-features --features postgres --test features`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use deadheat::RunVerdict;

/// Every driver and whether this build has it.
const DRIVERS: [(&str, bool); 3] = [
    ("event-store", cfg!(feature = "event-store")),
    ("jetstream", cfg!(feature = "jetstream")),
    ("postgres", cfg!(feature = "postgres")),
];

fn scenario(target: &str, steps: &str) -> String {
    format!(
        r#"
schema  = 1
name    = "features"
summary = "two workers, each with a request"
rounds  = 2

[targets.system]
{target}

[[workers]]
name  = "worker"
count = 2
steps = [{steps}]

[expect]
success = 2
"#
    )
}

#[tokio::test]
async fn a_driver_that_was_left_out_is_named_with_those_that_there_are() {
    let known: Vec<&str> = DRIVERS.into_iter().filter(|(_, known)| *known).map(|(word, _)| word).collect();
    for (word, known_here) in DRIVERS.into_iter().chain([("oracle", false)]) {
        let text = scenario(&format!("driver = \"{word}\""), r#"{ let = { a = "1" } }"#);
        let refused = deadheat::Run::text("features.toml", text).run().await.err().map(|error| error.to_string());
        if !known_here {
            let message = refused.unwrap();
            assert!(message.contains(&format!("there is no driver `{word}`")), "{message}");
            for word in &known {
                assert!(message.contains(&format!("`{word}`")), "{message}");
            }
        }
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgresql_is_raced_without_the_other_drivers() {
    let text = scenario("driver = \"postgres\"", r#"{ sql = "SELECT pg_advisory_xact_lock(1)" }"#);
    let report = deadheat::Run::text("features.toml", text).run().await.unwrap();
    assert!(matches!(report.verdict(), RunVerdict::Pass | RunVerdict::Inconclusive), "{}", report.text());
    assert!(report.text().contains("success 2"), "{}", report.text());
}
