//! Plain English: words and turns that readers stumble over stand nowhere, in code, messages or documents.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// What is not written, and what is written instead.
const WORDS: [(&str, &str); 6] = [
    (r"(?i)\banew\b", "again"),
    (r"(?i)\bbesides\b", "also, or next to"),
    (r"(?i)\bso many\b", "this number of, or how many"),
    (r"(?i)\bnone to speak of\b", "too small to count"),
    (r"\b(is|are|was|were) no [a-z]", "is not a"),
    (r"(?i)\b(of|to|by|as|than|with) whom\b", "repeat the noun"),
];

/// Where `is no` means what it says: nothing is there, or no longer.
const MEANT: &str = r"(?i)\bthere('s| is| are| was| were) no\b|\b(is|are|was|were) no longer\b";

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| ["rs", "md", "toml"].iter().any(|known| extension == *known))
        {
            found.push(path);
        }
    }
}

#[test]
fn no_text_has_a_word_that_readers_stumble_over() {
    let mut found: Vec<PathBuf> =
        ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].into_iter().map(PathBuf::from).collect();
    for folder in ["src", "docs", "scenarios", "examples", "benches"] {
        files(Path::new(folder), &mut found);
    }
    let meant = Regex::new(MEANT).unwrap();
    let words = WORDS.map(|(word, instead)| (Regex::new(word).unwrap(), instead));
    let mut wrong = Vec::new();
    for path in found {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in text.lines().enumerate() {
            let line = meant.replace_all(line, "");
            for (word, instead) in words.iter().filter(|(word, _)| word.is_match(&line)) {
                wrong.push(format!("{}:{}: `{word}`; write {instead}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Each option says its effect first; a default that clap does not print stands in brackets.
#[test]
fn every_option_says_what_it_does_unless_it_is_given() {
    let described = Regex::new(r"(?m)^ +(-\w, )?--[\w-]+").unwrap();
    for command in ["run", "check", "list", "show", "judge", "compare", "trend"] {
        let output =
            std::process::Command::new(env!("CARGO_BIN_EXE_deadheat")).args([command, "--help"]).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let options = help.split("Options:").nth(1).unwrap();
        let places: Vec<usize> = described.find_iter(options).map(|found| found.start()).collect();
        for (index, start) in places.iter().enumerate() {
            let text = &options[*start..places.get(index + 1).copied().unwrap_or(options.len())];
            let is_plain = ["--again", "--scenario", "--quiet", "--help", "--live", "--base", "--head", "--param"]
                .iter()
                .any(|it| text.contains(it));
            assert!(is_plain || text.contains("[default:") || text.contains("[possible"), "{command}: {text}");
        }
    }
}
