//! Expressions of any length, depth and cost: `check` and `run` end by themselves, and say what was too much.

use crate::cli::{Cli, Ended};
use crate::scenarios::{CLAIM, line_of, with};

/// Checks the scenario of claims with another invariant.
fn checked(that: &str) -> (Ended, usize) {
    let text = with(CLAIM, "\"size(events) == 1\"", &format!("'{that}'"));
    let line = line_of(&text, "that");
    (Cli::new().scenario(&text).args(["check"]).run(), line)
}

#[test]
fn a_long_chain_is_refused_with_its_place() {
    for terms in [1_500, 30_000] {
        let (ended, line) = checked(&format!("1{} > 0", " + 1".repeat(terms)));
        let place = format!("scenarios/0.toml:{line}:");
        ended.exits(64).stderr_has("error[bad-expression]").stderr_has(&place).stderr_has("wanted at most");
    }
}

#[test]
fn deep_nesting_of_any_kind_is_refused_with_its_place() {
    for open in ["[", "(", "{1: ", "-(", "!(", "size(", "[1].map(x, ", "true ? 1 : ", "1 + (", "a[0].b[", "\"\\\\u"] {
        let (ended, line) = checked(&open.repeat(900));
        ended.exits(64).stderr_has("error[bad-expression]").stderr_has(&format!("scenarios/0.toml:{line}:"));
    }
}

#[test]
fn an_expression_that_costs_too_much_in_a_race_ends_and_is_named() {
    let loops = format!("{}x{} == []", "[1,2,3,4,5,6,7,8].map(x, ".repeat(20), ")".repeat(20));
    let text = with(CLAIM, "steps = [", &format!("steps = [{{ assert = \"{loops}\" }}, "));
    let ended = Cli::new().scenario(&with(&text, "rounds = 10", "rounds = 1")).args(["run"]).run();
    assert!(ended.everything().contains("makes more than 64 MiB"), "{ended:?}");
}
