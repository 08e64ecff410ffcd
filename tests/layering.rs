//! The layers of ARCHITECTURE.md, held against the source: who may name what.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files that are compiled for tests only.
const FOR_TESTS: [&str; 5] = ["testing.rs", "tests.rs", "proxy.rs", "fixture.rs", "example.rs"];

/// Every source file outside tests, with the text before its test module.
fn sources() -> Vec<(String, String)> {
    let mut files = Vec::new();
    collect(Path::new("src"), &mut files);
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned();
        (path.to_string_lossy().into_owned(), code)
    };
    files.into_iter().map(read).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                collect(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !FOR_TESTS.iter().any(|name| path.ends_with(name))
        {
            files.push(path);
        }
    }
}

/// The rooms that each room of `src/` may use, as ARCHITECTURE.md lists them.
fn layers() -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string("ARCHITECTURE.md").unwrap();
    let (_, list) = text.split_once("## Layers\n").unwrap();
    let list = list.split("```").nth(1).unwrap().lines().skip(1);
    let layer = |line: &str| {
        let (room, used) = line.split_once('→').unwrap_or_else(|| panic!("no arrow in `{line}`"));
        let used = used.split(',').map(|name| name.trim().to_owned()).filter(|name| name != "nothing");
        (room.trim().to_owned(), used.collect())
    };
    list.map(layer).collect()
}

/// The room of a file: `engine` for `src/engine/case_run.rs`, `value` for `src/value.rs`.
fn room(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap();
    path.split_once('/').map_or_else(|| path.strip_suffix(".rs").unwrap(), |(room, _)| room)
}

/// The rooms that each room uses, each with a file that does.
fn imports() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (path, code) in sources() {
        let own = room(&path);
        if ["lib", "main"].contains(&own) {
            continue;
        }
        let used = found.entry(own.to_owned()).or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            for (at, root) in line.match_indices("crate::") {
                let name: String =
                    line[at + root.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                assert!(!name.is_empty(), "{path}: write one `use` for each room, not `{}`", line.trim());
                if name != own {
                    used.entry(name).or_insert_with(|| path.clone());
                }
            }
        }
    }
    found
}

#[test]
fn rooms_use_only_those_that_architecture_md_lists() {
    let (layers, imports) = (layers(), imports());
    let mut wrong = Vec::new();
    for (room, used) in &imports {
        let allowed = layers.get(room).unwrap_or_else(|| panic!("ARCHITECTURE.md lists no room `{room}`"));
        let more = used.iter().filter(|(name, _)| !allowed.contains(*name));
        wrong.extend(more.map(|(name, path)| format!("{path} uses `{name}`, which `{room}` may not")));
        let less = allowed.iter().filter(|name| !used.contains_key(*name));
        wrong.extend(less.map(|name| format!("`{room}` does not use `{name}`; take it out of ARCHITECTURE.md")));
    }
    wrong.extend(
        layers.keys().filter(|room| !imports.contains_key(*room)).map(|room| format!("there is no room `{room}`")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_rooms_use_each_other_in_a_circle() {
    let mut left = layers();
    while !left.is_empty() {
        let lowest: Vec<String> = left
            .iter()
            .filter(|(_, used)| used.iter().all(|room| !left.contains_key(room)))
            .map(|(room, _)| room.clone())
            .collect();
        assert!(!lowest.is_empty(), "a circle among {:?}", left.keys());
        left.retain(|room, _| !lowest.contains(room));
    }
}

/// Fails for every file outside `allowed` that has one of `words` in its code.
fn only(allowed: &[&str], words: &[&str]) {
    let mut found = Vec::new();
    for (path, code) in sources() {
        if allowed.iter().any(|prefix| path.starts_with(prefix)) {
            continue;
        }
        for (line, text) in code.lines().enumerate() {
            let text = text.trim_start();
            if !text.starts_with("//") && words.iter().any(|word| text.contains(word)) {
                found.push(format!("{path}:{}: {text}", line + 1));
            }
        }
    }
    assert!(found.is_empty(), "only {allowed:?} may name {words:?}:\n{}", found.join("\n"));
}

#[test]
fn only_targets_stores_and_servers_name_driver_crates() {
    only(
        &["src/driver", "src/event_store", "src/server", "src/api/driver_errors.rs"],
        &["tokio_postgres::", "async_nats::", "sqlx::"],
    );
}

/// Its messages are not ours, and its evaluation cannot be bounded.
#[test]
fn only_tests_name_the_cel_crate() {
    only(&[], &["cel::"]);
}

#[test]
fn checks_comparisons_and_statistics_do_no_input_or_output() {
    let forbidden = ["std::fs", "std::net", "tokio::", "std::process", "Instant::now", "SystemTime"];
    for (path, code) in sources() {
        if ["src/judge", "src/compare", "src/statistics"].iter().any(|pure| path.starts_with(pure)) {
            for word in forbidden {
                assert!(!code.contains(word), "{path} names {word}");
            }
        }
    }
}

#[test]
fn only_the_command_line_prints_and_reads_the_environment() {
    only(&["src/cli"], &["println!", "eprintln!", "io::stdout", "io::stderr", "process::exit"]);
    only(&["src/cli", "src/api/sources.rs"], &["env::var"]);
}

#[test]
fn only_the_reports_schema_is_serialised_to_files() {
    only(
        &["src/report", "src/diagnostic.rs", "src/driver/jetstream", "src/event_store"],
        &["derive(Serialize", " Serialize,", " Serialize)"],
    );
}

/// Words that only drivers know, and where else they stand, with the reason.
#[test]
fn no_drivers_words_stand_outside_its_folder() {
    const ELSEWHERE: [(&str, &str); 7] = [
        ("src/api/driver_errors.rs", "converts the errors of the drivers' crates, which Rust callers pass on"),
        ("src/cli/args.rs", "help lists the environment variables, and shows commands"),
        ("src/lib.rs", "names the reference store's module"),
        ("src/report/terminal.rs", "shortens `event-store/sqlite` in a line that has no room"),
        ("src/scenario/read.rs", "says which drivers this version does not have yet"),
        ("src/scenario/read_checks.rs", "a metric's example is a step of the shipped scenarios"),
        ("src/scenario/schema.rs", "the same example"),
    ];
    let words =
        ["postgres", "jetstream", "event-store", "event_store", "nats", "sqlite", "\"sql\"", "`append", "`publish"];
    let mut seen = BTreeSet::new();
    for (path, code) in sources() {
        if ["src/driver/", "src/event_store/", "src/server/"].iter().any(|own| path.starts_with(own)) {
            continue;
        }
        for line in code.lines().map(str::trim).filter(|line| !line.starts_with("//")) {
            let line = line.to_lowercase();
            if words.iter().any(|word| line.contains(word)) {
                let known = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == path);
                assert!(known.is_some(), "{path} has a driver's word: {line}");
                seen.insert(path.clone());
            }
        }
    }
    let idle: Vec<&str> = ELSEWHERE.iter().map(|(path, _)| *path).filter(|path| !seen.contains(*path)).collect();
    assert!(idle.is_empty(), "no driver's word stands in {idle:?} any more");
}

/// What the guides name by its path is there.
#[test]
fn the_guides_name_files_that_there_are() {
    let named = regex::Regex::new(r"`((?:src|tests|docs|scripts|benches|examples)/[\w./-]*\w)`").unwrap();
    for guide in ["ARCHITECTURE.md", "CONTRIBUTING.md", "README.md"] {
        let text = fs::read_to_string(guide).unwrap();
        for path in named.captures_iter(&text).map(|found| found[1].to_owned()) {
            assert!(Path::new(&path).exists(), "{guide} names `{path}`, which is not there");
        }
    }
}
