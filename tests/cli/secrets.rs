//! Passwords and tokens: nothing that is printed or kept repeats them.

use crate::cli::{Cli, Ended};
use crate::given::Given;
use crate::scenarios::{CLAIM, INSERT, PUBLISH, with};

const PASSWORD: &str = "s3cret-pass";
const TOKEN: &str = "s3cret-t0ken";

/// What was printed and what the run's folder holds.
fn keeps_secrets(ended: &Ended) {
    let everything = ended.everything();
    for secret in [PASSWORD, TOKEN, "s3cret"] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
}

/// One command for each way in which a target learns its URL.
fn ways(scenario: &str, driver: &str, target: &str, variable: &str, url: &str) -> Vec<Cli> {
    let own_url = with(scenario, driver, &format!("{driver}\nurl = \"{url}\""));
    let named = with(scenario, driver, &format!("{driver}\nurl = \"${{server}}\""));
    let (axis, param) =
        (format!("{named}\n[matrix]\nserver = [\"{url}\"]\n"), format!("{named}\n[params]\nserver = \"\"\n"));
    let own_variable = with(scenario, driver, &format!("{driver}\nurl_env = \"MY_SERVER\""));
    vec![
        Cli::new().scenario(scenario).args(["run", "--target", &format!("{target}={url}")]),
        Cli::new().scenario(scenario).args(["run", &format!("--target={target}={url}")]),
        Cli::new().scenario(scenario).args(["run"]).env(variable, url),
        Cli::new().scenario(&own_url).args(["run"]),
        Cli::new().scenario(&own_variable).args(["run"]).env("MY_SERVER", url),
        Cli::new().scenario(&axis).args(["run"]),
        Cli::new().scenario(&param).args(["run", "--param", &format!("server={url}")]),
    ]
}

#[test]
fn a_password_lets_in_and_is_not_repeated_and_a_wrong_one_is_refused() {
    let server = Given::postgres(Some(PASSWORD));
    let driver = "driver   = \"postgres\"";
    for cli in ways(INSERT, driver, "db", "DEADHEAT_POSTGRES_URL", &server.url) {
        keeps_secrets(&cli.run().exits(0));
    }
    let wrong = server.url_for("postgres:s3cret-wrong");
    for cli in ways(INSERT, driver, "db", "DEADHEAT_POSTGRES_URL", &wrong) {
        let ended = cli.run().exits(10).stderr_has("error: cannot use PostgreSQL at 127.0.0.1:");
        let ended = ended.stderr_has("password authentication failed for user \"postgres\"");
        keeps_secrets(&ended.stderr_has("check the user, the password"));
    }
}

#[test]
fn variants_that_are_raced_in_turns_do_not_repeat_it() {
    let server = Given::postgres(Some(PASSWORD));
    let driver = "driver   = \"postgres\"";
    let text = with(INSERT, driver, &format!("{driver}\nurl = \"${{server}}\"")) + "\n[params]\nserver = \"\"\n";
    let set = format!("server={}", server.url);
    let live = ["compare", "--live", "scenarios/0.toml", "--rounds", "6", "--threshold", "makespan=900%"];
    let cli = Cli::new().scenario(&text).args(live).args(["--base", &set, "--head", &set]);
    keeps_secrets(&cli.run().exits(0));
}

#[test]
fn a_token_lets_in_and_is_not_repeated_and_a_wrong_one_is_refused() {
    let server = Given::nats(TOKEN);
    let driver = "driver = \"jetstream\"";
    for cli in ways(PUBLISH, driver, "stream", "DEADHEAT_NATS_URL", &server.url) {
        keeps_secrets(&cli.run().exits(0));
    }
    let wrong = server.url_for("s3cret-wrong");
    for cli in ways(PUBLISH, driver, "stream", "DEADHEAT_NATS_URL", &wrong) {
        let ended = cli.run().exits(10).stderr_has("error: NATS at 127.0.0.1:");
        keeps_secrets(&ended.stderr_has("refused the login with"));
    }
}

#[test]
fn the_event_store_keeps_them_too() {
    let (postgres, nats) = (Given::postgres(Some(PASSWORD)), Given::nats(TOKEN));
    for (backend, url) in [("postgres", &postgres.url), ("jetstream", &nats.url)] {
        let text = with(CLAIM, "\"memory\"", &format!("\"{backend}\""));
        let cli = Cli::new().scenario(&text).args(["run", "--rounds", "2", "--target", &format!("store={url}")]);
        keeps_secrets(&cli.run().exits(0));
    }
    assert_eq!(postgres.schemas(), [""; 0]);
    assert_eq!(nats.streams(), [""; 0]);
}
