//! The layers of ARCHITECTURE.md, held against the source: who may name what.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Files that are compiled for tests only.
const FOR_TESTS: [&str; 3] = ["testing.rs", "tests.rs", "proxy.rs"];

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
        } else if !FOR_TESTS.iter().any(|name| path.ends_with(name)) {
            files.push(path);
        }
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
    only(&["src/target", "src/event_store", "src/server"], &["tokio_postgres::", "async_nats::", "sqlx::"]);
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
        if ["src/check", "src/compare", "src/statistics"].iter().any(|pure| path.starts_with(pure)) {
            for word in forbidden {
                assert!(!code.contains(word), "{path} names {word}");
            }
        }
    }
}

#[test]
fn the_engine_does_not_know_checks_reports_or_the_command_line() {
    for (path, code) in sources() {
        if path.starts_with("src/engine") {
            for word in ["crate::check", "crate::report", "crate::cli", "crate::run"] {
                assert!(!code.contains(word), "{path} names {word}");
            }
        }
    }
}

#[test]
fn only_the_command_line_prints_and_reads_the_environment() {
    only(&["src/cli"], &["println!", "eprintln!", "io::stdout", "io::stderr", "env::var", "process::exit"]);
}

#[test]
fn only_the_reports_schema_is_serialised_to_files() {
    only(
        &["src/report", "src/diagnostic.rs", "src/target/jetstream", "src/event_store"],
        &["derive(Serialize", " Serialize,", " Serialize)"],
    );
}
