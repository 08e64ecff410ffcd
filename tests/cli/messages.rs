//! What messages say when they come back, which headers a server acts on, and which server is too old for them.

use crate::cli::Cli;
use crate::scenarios::line_of;

/// A race of publishers on a private server.
fn race(workers: &str, publish: &str, checks: &str) -> String {
    format!(
        "schema = 1\nname = \"mail\"\nrounds = 3\n\n[targets.bus]\ndriver = \"jetstream\"\n\n[[workers]]\nname = \"sender\"\n\
         {workers}\nsteps = [\n  {{ publish = {publish} }},\n]\n\n{checks}\n"
    )
}

#[test]
fn text_that_looks_like_a_number_or_an_object_is_read_as_text() {
    let tokens = r#"each = [{ t = "12e4" }, { t = "7" }, { t = "true" }, { t = "null" }, { t = "{}" }, { t = "[7]" }]"#;
    let scenario = race(
        tokens,
        r#"{ subject = "lock.${round}.${worker}", data = "${t}" }"#,
        "[expect]\nsuccess = 6\n[[invariants]]\nname = \"read as published\"\nmessages = { subject = \"lock.${round}.>\" }\n\
         that = \"messages.map(m, m.data) == messages.map(m, string(m.data)) && \
         messages.all(m, m.data in ['12e4', '7', 'true', 'null', '{}', '[7]']) && messages.all(m, m.headers == {})\"",
    );
    Cli::new().scenario(&scenario).args(["run"]).run().exits(0);
}

#[test]
fn what_is_not_text_keeps_its_type() {
    let values = "each = [{ v = 7 }, { v = 1.5 }, { v = true }, { v = { a = [1, \"2\"] } }, { v = [1] }]";
    let scenario = race(
        values,
        r#"{ subject = "a.${round}.${worker}", data = "${v}" }"#,
        "[expect]\nsuccess = 5\n[[invariants]]\nname = \"read as published\"\nmessages = { subject = \"a.${round}.>\" }\n\
         that = \"messages.all(m, m.data in [7, 1.5, true, {'a': [1, '2']}, [1]]) && \
         messages.all(m, m.headers == {})\"",
    );
    Cli::new().scenario(&scenario).args(["run"]).run().exits(0);
}

#[test]
fn a_header_of_the_servers_works_in_any_case() {
    let scenario = race(
        "count = 3",
        r#"{ subject = "a.${round}", data = "x", headers = { nats-msg-id = "same-${round}" } }"#,
        "[expect]\nsuccess = 1\nduplicate = 2",
    );
    Cli::new().scenario(&scenario).args(["run"]).run().exits(0);
}

#[test]
fn a_header_that_contradicts_a_key_is_a_fault_at_its_line() {
    let scenario = race(
        "count = 2",
        r#"{ subject = "a", data = "x", message_id = "one", headers = { nats-MSG-id = "other" } }"#,
        "[expect]\nsuccess = 2",
    );
    let place = format!("scenarios/0.toml:{}:", line_of(&scenario, "publish"));
    let ended = Cli::new().scenario(&scenario).args(["check"]).run().exits(64);
    ended.stderr_has("error[conflicting-keys]").stderr_has("`message_id`").stderr_has(&place);
}

#[test]
fn one_header_in_two_spellings_and_the_harness_own_header_are_faults() {
    for headers in [r#"{ Nats-Msg-Id = "a", nats-msg-id = "b" }"#, r#"{ Trace = "a", trace = "b" }"#] {
        let publish = format!(r#"{{ subject = "a", headers = {headers} }}"#);
        let scenario = race("count = 2", &publish, "[expect]\nsuccess = 2");
        Cli::new().scenario(&scenario).args(["check"]).run().exits(64).stderr_has("written twice");
    }
    let publish = r#"{ subject = "a", headers = { deadheat-data = "json" } }"#;
    let scenario = race("count = 2", publish, "[expect]\nsuccess = 2");
    Cli::new().scenario(&scenario).args(["check"]).run().exits(64).stderr_has("deadheat's own");
}

#[test]
fn a_misspelt_header_of_the_servers_is_warned_of() {
    let publish = r#"{ subject = "a", headers = { Nats-Mesg-Id = "a" } }"#;
    let scenario = race("count = 2", publish, "[expect]\nsuccess = 2");
    Cli::new().scenario(&scenario).args(["check"]).run().exits(0).stderr_has("did you mean `Nats-Msg-Id`?");
}

#[test]
fn a_duplicate_window_that_the_server_would_refuse_is_a_fault_at_its_line() {
    let scenario = race("count = 2", r#"{ subject = "a" }"#, "[expect]\nsuccess = 2");
    let scenario = scenario.replace("driver = \"jetstream\"", "driver = \"jetstream\"\nduplicate_window = \"50ms\"");
    let place = format!("scenarios/0.toml:{}:", line_of(&scenario, "duplicate_window"));
    let ended = Cli::new().scenario(&scenario).args(["check"]).run().exits(64);
    ended.stderr_has("at least 100ms").stderr_has(&place);
}
