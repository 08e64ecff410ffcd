//! What the tests of this module share.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::find::{self, NatsProgram, PostgresPrograms, SearchPath};
use super::nats::NatsOptions;
use super::postgres::PostgresOptions;

fn search() -> SearchPath {
    SearchPath::system(std::env::var_os("PATH").as_deref())
}

/// A root of the test's own, which every user can reach.
pub(super) fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    root
}

/// The programs on this machine, and options that keep to `root`.
pub(super) fn postgres(root: &Path) -> (PostgresPrograms, PostgresOptions) {
    let options = PostgresOptions { roots: vec![root.to_owned()], ..PostgresOptions::default() };
    (find::postgres(&search()).unwrap(), options)
}

/// The program on this machine, and options that keep to `root`.
pub(super) fn nats(root: &Path) -> (NatsProgram, NatsOptions) {
    let options = NatsOptions { roots: vec![root.to_owned()], ..NatsOptions::default() };
    (find::nats(&search()).unwrap(), options)
}

/// The command lines of the processes that work in `directory` or were told of it. Knows only
/// Linux, and nothing of processes that have ended and wait for their parent.
pub(super) fn processes_in(directory: &Path) -> Vec<String> {
    let name = directory.to_str().unwrap();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let cwd = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            (line.contains(name) || cwd.to_string_lossy().contains(name)).then_some(line)
        })
        .collect()
}

/// Waits until [`processes_in`] finds none: whoever was told to end, or lost its parent, still needs a processor for it.
pub(super) async fn processes_end_in(directory: &Path) {
    eventually("the end of every process", || processes_in(directory).is_empty()).await;
}

/// Looks until it is so; panics after 30 s.
pub(super) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what} did not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
