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

#[test]
fn no_argument_or_variable_that_could_hold_a_login_is_printed_whole() {
    let urls = [
        "postgres://u:s3cret@h/d",
        "postgres://u:p@s3cret@127.0.0.1/d",
        "postgres://s3cret/x@127.0.0.1/d",
        "u:s3cret@127.0.0.1/d",
        "postgres://u:a s3cret'@h/d?sslmode=require",
    ];
    let own_url = with(INSERT, "driver   = \"postgres\"", "driver = \"postgres\"\nurl_env = \"MY_SERVER\"");
    for url in urls {
        let named = |prefix: &str| format!("{prefix}{url}");
        let commands: Vec<Vec<String>> = vec![
            vec!["run".into(), "--target".into(), url.into()],
            vec!["run".into(), "--target".into(), named("nobody=")],
            vec!["run".into(), "--target".into(), named("db=")],
            vec!["run".into(), "--param".into(), url.into()],
            vec!["run".into(), "--param".into(), named("nothing=")],
            vec!["run".into(), "--filter".into(), url.into()],
            vec!["run".into(), "--rounds".into(), url.into()],
            vec!["run".into(), "--out".into(), url.into(), "--target".into(), named("db=")],
            vec!["run".into(), url.into()],
            vec!["check".into(), url.into()],
            vec!["list".into(), url.into()],
            vec!["show".into(), url.into()],
            vec!["trend".into(), url.into()],
            vec!["compare".into(), url.into(), url.into()],
            vec!["compare".into(), "--live".into(), url.into()],
            vec!["judge".into(), url.into(), "--scenario".into(), url.into()],
            vec!["clean".into(), url.into()],
            vec![url.into()],
        ];
        for command in commands {
            let ended = Cli::new().scenario(INSERT).no_servers().args(command).run();
            assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("s3cret"), "{ended:?}");
        }
        let in_variable = Cli::new().scenario(&own_url).no_servers().args(["run"]).env("MY_SERVER", url).run();
        let as_variable = own_url.replace("MY_SERVER", url);
        for ended in [in_variable, Cli::new().scenario(&as_variable).args(["check"]).run().exits(64)] {
            assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("s3cret"), "{ended:?}");
        }
    }
}
