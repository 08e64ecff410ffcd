//! What a scenario can cost before anything is raced: the time to check it grows with its length, and its cells are counted
//! before they are built.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::time::{Duration, Instant};

use deadheat::diagnostic::{Diagnostic, SourceFile};
use deadheat::plan::{self, Overrides};
use deadheat::scenario::{self, FileAccess, LoadError};

/// How many steps, groups, … the scenarios here have.
const MANY: usize = 4_000;

/// Within this, all of them are checked, by a slow build on a busy machine. What is quadratic takes minutes for each.
const DEADLINE: Duration = Duration::from_secs(120);

/// A scenario of `steps`, which one group of `count` workers takes as `list`, with whatever else in `rest`.
fn text(steps: &str, count: usize, list: &str, rest: &str) -> String {
    format!(
        "schema = 1\nname = \"many\"\n[targets.db]\ndriver = \"postgres\"\n{steps}\n\
         [[workers]]\nname = \"w\"\ncount = {count}\nsteps = [{list}]\n{rest}"
    )
}

fn repeated(part: impl Fn(usize) -> String) -> String {
    (0..MANY).map(part).collect()
}

/// Everything that is found in a scenario, drawn or not.
fn found(text: String, overrides: &Overrides) -> (SourceFile, Vec<Diagnostic>) {
    let source = SourceFile::new("many.toml", text);
    match scenario::parse(source.clone(), Path::new(""), FileAccess::Below, &deadheat::driver::builtin()) {
        Err(LoadError::Invalid { diagnostics, .. }) => (source, diagnostics),
        Err(error) => panic!("{error}"),
        Ok(scenario) => {
            let planned = plan::cases(&scenario, overrides);
            (source, planned.map_or_else(|faults| faults, |plan| plan.warnings))
        }
    }
}

#[test]
fn the_time_to_check_a_scenario_grows_with_its_length() {
    let began = Instant::now();
    let one = "[steps.s]\nsql = \"SELECT 1\"\n";
    let expect = "[expect]\nsuccess = 2\n";
    let cases = [
        (
            "steps",
            text(
                &repeated(|n| format!("[steps.s{n}]\nsql = \"SELECT {n}\"\nsave = \"v{n}\"\n")),
                2,
                &repeated(|n| format!("\"s{n}\",")),
                expect,
            ),
            0,
        ),
        ("one step", text(one, 2, &"\"s\",".repeat(MANY), expect), 0),
        ("unknown steps", text(one, 2, &repeated(|n| format!("\"t{n}\",")), expect), MANY),
        ("unknown names", text("", 2, &repeated(|n| format!("{{ let = {{ a{n} = \"b{n}\" }} }},")), expect), MANY),
        ("barriers", text("", 1, &repeated(|n| format!("{{ barrier = \"b{n}\" }},")), "[expect]\nsuccess = 1\n"), MANY),
        (
            "invariants",
            text(
                one,
                2,
                "\"s\"",
                &repeated(|n| {
                    format!("[[invariants]]\nname = \"i{n}\"\nsql = \"SELECT 1\"\nthat = \"rows[0][0] == 1\"\n")
                }),
            ),
            0,
        ),
        (
            "controls",
            text(
                one,
                2,
                "\"s\"",
                &(expect.to_owned()
                    + &repeated(|n| {
                        format!(
                            "[[controls]]\nname = \"c{n}\"\nwhy = \"y\"\nreplace = {{ s = {{ sql = \"SELECT {n} + 1\" }} }}\nbreaks = [\"success\"]\n"
                        )
                    })),
            ),
            0,
        ),
        ("groups", text(one, 1, "\"s\"", &repeated(|n| format!("[[workers]]\nname = \"g{n}\"\nsteps = [\"s\"]\n"))), 0),
        ("equal groups", text(one, 1, "\"s\"", &"[[workers]]\nname = \"w\"\nsteps = [\"s\"]\n".repeat(MANY)), MANY),
        (
            "unknown keys",
            text(
                &format!("[steps.s]\nsql = \"SELECT 1\"\n{}", repeated(|n| format!("k{n} = 1\n"))),
                2,
                "\"s\"",
                expect,
            ),
            MANY,
        ),
        (
            "params",
            text(
                &format!("[params]\n{}", (0..30 * MANY).map(|n| format!("p{n} = {n}\n")).collect::<String>()),
                2,
                &repeated(|n| format!("{{ assert = \"p{n} >= 0\" }},")),
                expect,
            ),
            0,
        ),
        ("lines", text(one, 2, "\"s\"", &("\n".repeat(1_000_000) + expect)), 0),
    ];
    for (what, text, faults) in cases {
        let (source, diagnostics) = found(text, &Overrides::default());
        // Each is drawn and has a place: finding the place must not read the file from its start.
        let drawn: usize = diagnostics.iter().take(50).map(|found| found.render(&source, false).len()).sum();
        assert!(diagnostics.len() >= faults && (faults == 0 || drawn > 0), "{what}: {}", diagnostics.len());
        assert!(diagnostics.iter().all(|found| found.to_json(&source).line.is_some()), "{what}");
        assert!(began.elapsed() < DEADLINE, "{what}: {:?}", began.elapsed());
    }
}

/// A scenario with `axes` axes of `values` values each, and a control.
fn matrix(axes: usize, values: usize) -> String {
    let numbers: Vec<String> = (1..=values).map(|number| number.to_string()).collect();
    let axes: String = (0..axes).map(|axis| format!("a{axis} = [{}]\n", numbers.join(", "))).collect();
    let rest = "[[controls]]\nname = \"c\"\nwhy = \"y\"\ndrop = [\"s\"]\nbreaks = [\"success\"]\n[expect]\nsuccess = 2\n[matrix]\n";
    text("[steps.s]\nsql = \"SELECT 1\"", 2, "\"s\", { sleep = \"1ms\" }", &(rest.to_owned() + &axes))
}

#[test]
fn cells_are_counted_before_they_are_built() {
    let faults = |axes, values, overrides: &Overrides| {
        let found = found(matrix(axes, values), overrides).1;
        found.into_iter().map(|fault| format!("{}: {}", fault.code, fault.message)).collect::<Vec<_>>()
    };
    let default = Overrides::default();
    assert_eq!(faults(2, 100, &default), [""; 0]);
    let narrowed = Overrides { params: vec![("a0".to_owned(), "7".to_owned())], ..Overrides::default() };
    assert_eq!(faults(3, 100, &narrowed), [""; 0]);
    let message = |cells: &str, most: usize| {
        [format!("too-many-cases: the matrix of `many` has {cells} cells, and at most {most} are planned")]
    };
    assert_eq!(faults(2, 101, &default), message("10201", 10_000));
    assert_eq!(faults(9, 100, &default), message("1000000000000000000", 10_000));
    assert_eq!(faults(10, 100, &default), message("more than 18446744073709551615", 10_000));
    let allowed = Overrides { max_cases: 10_201, ..Overrides::default() };
    assert_eq!(faults(2, 101, &allowed), [""; 0]);
    assert_eq!(faults(2, 102, &allowed), message("10404", 10_201));
}

#[test]
fn controls_are_counted_while_they_are_built() {
    let control = |n| format!("[[controls]]\nname = \"c{n}\"\nwhy = \"y\"\ndrop = [\"s\"]\nbreaks = [\"success\"]\n");
    let text = matrix(1, 6).replace("[expect]", &format!("{}{}[expect]", control(1), control(2)));
    let of = |max_cases| found(text.clone(), &Overrides { max_cases, ..Overrides::default() }).1;
    assert!(of(18).is_empty(), "{:?}", of(18));
    assert_eq!(of(17)[0].message, "the cases of `many` have more than 17 controls");
}

#[test]
fn what_all_cases_are_made_of_is_counted_while_they_are_built() {
    let faults = |text: &str| {
        let found = found(text.to_owned(), &Overrides::default()).1;
        found.into_iter().map(|fault| fault.message).collect::<Vec<_>>()
    };
    let large = "the cases of `many` and their controls have more than 1000000 workers, steps and checks";
    // 10 000 cells of 100 workers, and 300 controls of 4 000 steps.
    let one = "[steps.s]\nsql = \"SELECT 1\"\n";
    let matrix = matrix(2, 100).replace("count = 2", "count = 100").replace("success = 2", "success = 100");
    assert_eq!(faults(&matrix), [large]);
    let control = |n: usize| {
        format!(
            "[[controls]]\nname = \"c{n}\"\nwhy = \"y\"\nreplace = {{ s = {{ sql = \"SELECT {n} + 1\" }} }}\nbreaks = [\"success\"]\n"
        )
    };
    let controls: String = (0..300).map(control).collect();
    assert_eq!(faults(&text(one, 2, &"\"s\",".repeat(MANY), &format!("[expect]\nsuccess = 2\n{controls}"))), [large]);
    let groups = repeated(|n| format!("[[workers]]\nname = \"g{n}\"\ncount = 10000\nsteps = [\"s\"]\n"));
    let together = "the groups have 40000002 workers together, but at most 10000 can race";
    assert_eq!(faults(&text(one, 2, "\"s\"", &groups)), [together]);
}

#[test]
fn the_steps_of_a_round_are_counted_before_it_is_raced() {
    let of = |repeat: u64| {
        let steps = "{ sleep = \"1ms\" }, { assert = \"true\" }";
        let text = text("", 5, steps, "[expect]\nsuccess = 5\n").replace("count", &format!("repeat = {repeat}\ncount"));
        let (source, found) = found(text, &Overrides::default());
        let errors = found.iter().filter(|it| it.code.to_string() == "bad-value");
        errors.map(|it| (it.message.clone(), it.to_json(&source).line)).collect::<Vec<_>>()
    };
    assert_eq!(of(100_000), []);
    let wanted = "the workers take 1000010 steps together in one round, but at most 1000000 can be kept";
    assert_eq!(of(100_001), [(wanted.to_owned(), Some(8))]);
    assert_eq!(of(i64::MAX as u64).len(), 1, "a product that no number holds");
}
