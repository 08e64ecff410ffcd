//! Small scenarios for these tests.

/// Writers claim one name; needs no server. `--param guard=none` breaks it.
pub(crate) const CLAIM: &str = r#"
schema = 1
name   = "claim"
tags   = ["quick"]
rounds = 10

[params]
writers = 4
guard   = "server"

[targets.store]
driver  = "event-store"
backend = "memory"
guard   = "${guard}"

[[workers]]
name  = "writer"
count = "${writers}"
steps = [{ append = { actor = "name-${round}", version = 1, type = "Claimed", pause = "checked" } }]

[expect]
success  = 1
conflict = "writers - 1"

[[invariants]]
name   = "one claim stored"
events = { actor = "name-${round}" }
that   = "size(events) == 1"

[[controls]]
name   = "no guard"
why    = "nothing holds the check and the write together"
set    = { guard = "none" }
breaks = ["success", "conflict", "one claim stored"]
"#;

/// Workers insert one key into PostgreSQL.
pub(crate) const INSERT: &str = r#"
schema = 1
name   = "insert"
tags   = ["db"]
rounds = 5

[targets.db]
driver   = "postgres"
settings = { deadlock_timeout = "20ms" }

[fixture]
setup = [{ sql = "CREATE TABLE taken (id int PRIMARY KEY)" }]

[steps.take]
sql  = "INSERT INTO taken VALUES ($1)"
args = ["${round}"]

[[workers]]
name  = "taker"
count = 3
steps = ["take"]

[expect]
success  = 1
conflict = 2
"#;

/// Workers publish the first message of one subject.
pub(crate) const PUBLISH: &str = r#"
schema = 1
name   = "publish"
rounds = 5

[targets.stream]
driver = "jetstream"

[[workers]]
name  = "publisher"
count = 3
steps = [{ publish = { subject = "orders.${round}", data = "x", expected_last_subject_sequence = 0 } }]

[expect]
success  = 1
conflict = 2
"#;

/// `text` with one part, which must be there, replaced.
pub(crate) fn with(text: &str, part: &str, other: &str) -> String {
    assert!(text.contains(part), "{part} is not in {text}");
    text.replacen(part, other, 1)
}

/// The line on which `part` is, from 1.
pub(crate) fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).unwrap() + 1
}
