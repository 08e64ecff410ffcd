//! The seeded defects of tests/defects fit the source, and the table in CONTRIBUTING.md names them all. Whether they are
//! caught is what scripts/seeded-defects shows.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A row of the table for a patch: its name, the defect in words, and the test that must catch it.
fn row(name: &str, patch: &str) -> String {
    let mut comments = patch.lines().map_while(|line| line.strip_prefix("# "));
    let words = comments.next().unwrap_or_else(|| panic!("{name}: the first line says in words what the defect is"));
    let test = comments.next().and_then(|line| line.strip_prefix("caught-by: "));
    let test = test.unwrap_or_else(|| panic!("{name}: the second line is `# caught-by: MODULE::tests::NAME`"));
    format!("| {name} | {words} | `{test}` |")
}

/// All patches, by name.
fn patches() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/defects").unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_patch_still_fits_the_source() {
    for patch in patches() {
        let output = Command::new("git").args(["apply", "--check"]).arg(&patch).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{} has to be mended: {said}", patch.display());
    }
}

#[test]
fn the_table_of_seeded_defects_is_complete() {
    let name = |file: &std::path::Path| file.file_stem().unwrap().to_string_lossy().into_owned();
    let rows: Vec<String> = patches().iter().map(|file| row(&name(file), &fs::read_to_string(file).unwrap())).collect();
    let page = fs::read_to_string("CONTRIBUTING.md").unwrap();
    let table = page.split_once("|---|---|---|\n").map_or("", |(_, table)| table);
    let shown: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(shown, rows, "the table should be:\n{}", rows.join("\n"));
}
