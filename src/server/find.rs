//! Finds the programs of servers on this machine.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{NotFound, ServerKind};

/// Where PostgreSQL's server programs lie when they are not on PATH: Debian and Red Hat keep each
/// version in a folder of its own, Homebrew does not link versioned formulas.
const POSTGRES_PLACES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/opt/homebrew/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
];

/// Debian installs `nats-server` in `/usr/sbin`, which is not on every user's PATH.
const NATS_PLACES: &[&str] =
    &["/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin", "/home/linuxbrew/.linuxbrew/bin"];

const POSTGRES_PROGRAMS: &[&str] = &["postgres", "initdb"];
const NATS_PROGRAMS: &[&str] = &["nats-server"];

/// Where to look for programs: the folders of PATH, then the well-known places.
#[derive(Debug, Clone)]
pub struct SearchPath {
    path: Vec<PathBuf>,
    root: PathBuf,
}

impl SearchPath {
    /// The folders of `path` (the value of PATH), then the well-known places of this machine.
    pub fn system(path: Option<&OsStr>) -> Self {
        SearchPath::below(Path::new("/"), path)
    }

    /// As [`SearchPath::system`], but with the well-known places taken below `root`: an empty
    /// folder and no `path` make a machine without servers.
    pub fn below(root: &Path, path: Option<&OsStr>) -> Self {
        SearchPath { path: path.into_iter().flat_map(std::env::split_paths).collect(), root: root.to_owned() }
    }

    /// The first folder that holds all of `programs`.
    fn folder_with(&self, programs: &[&str], places: &[&str]) -> Option<PathBuf> {
        let on_path = self.path.iter().filter(|folder| folder.is_absolute());
        let well_known = places.iter().flat_map(|place| expand(&self.root, place));
        on_path.cloned().chain(well_known).find(|folder| programs.iter().all(|name| is_program(&folder.join(name))))
    }
}

/// The programs of one PostgreSQL installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresPrograms {
    /// The server.
    pub postgres: PathBuf,
    /// What makes its data directory.
    pub initdb: PathBuf,
}

/// The program of one NATS installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NatsProgram {
    /// The server.
    pub nats_server: PathBuf,
}

/// Finds `postgres` and `initdb` in one folder.
pub fn postgres(search: &SearchPath) -> Result<PostgresPrograms, NotFound> {
    search
        .folder_with(POSTGRES_PROGRAMS, POSTGRES_PLACES)
        .map(|folder| PostgresPrograms { postgres: folder.join("postgres"), initdb: folder.join("initdb") })
        .ok_or(NotFound { kind: ServerKind::Postgres, programs: POSTGRES_PROGRAMS, places: POSTGRES_PLACES })
}

/// Finds `nats-server`.
pub fn nats(search: &SearchPath) -> Result<NatsProgram, NotFound> {
    search
        .folder_with(NATS_PROGRAMS, NATS_PLACES)
        .map(|folder| NatsProgram { nats_server: folder.join("nats-server") })
        .ok_or(NotFound { kind: ServerKind::Nats, programs: NATS_PROGRAMS, places: NATS_PLACES })
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// The existing folders that `place` stands for, below `root`. Its `*`, if any, stands for a
/// version within one folder name; the newest version comes first.
fn expand(root: &Path, place: &str) -> Vec<PathBuf> {
    let below_root = |part: &str| root.join(part.trim_start_matches('/'));
    let Some((before, after)) = place.split_once('*') else {
        return vec![below_root(place)];
    };
    let (parent, prefix) = before.rsplit_once('/').expect("a well-known place is an absolute path");
    let rest = after.trim_start_matches('/');

    let mut versions: Vec<(Vec<u32>, PathBuf)> = fs::read_dir(below_root(parent))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = version(entry.file_name().to_str()?.strip_prefix(prefix)?)?;
            Some((version, entry.path().join(rest)))
        })
        .collect();
    versions.sort_by(|a, b| b.cmp(a));
    versions.into_iter().map(|(_, folder)| folder).collect()
}

/// `9.6` as `[9, 6]`; nothing for text that is not a version.
fn version(text: &str) -> Option<Vec<u32>> {
    text.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(root: &Path, folder: &str, programs: &[&str]) {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).unwrap();
        for name in programs {
            fs::write(folder.join(name), "").unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }

    #[test]
    fn the_newest_version_comes_first_and_a_client_only_version_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "15", "9.5", "current"] {
            let folder = format!("usr/lib/postgresql/{version}/bin");
            install(root.path(), &folder, POSTGRES_PROGRAMS);
        }
        install(root.path(), "usr/lib/postgresql/17/bin", &["psql"]);

        let found = postgres(&SearchPath::below(root.path(), None)).unwrap();
        assert_eq!(found.initdb, root.path().join("usr/lib/postgresql/15/bin/initdb"));
    }

    #[test]
    fn path_comes_before_the_well_known_places() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/sbin", NATS_PROGRAMS);
        install(root.path(), "opt/mine", NATS_PROGRAMS);
        install(root.path(), "opt/empty", &[]);
        let mine = root.path().join("opt/mine");
        let path = std::env::join_paths([&root.path().join("opt/empty"), &mine]).unwrap();

        let found = nats(&SearchPath::below(root.path(), Some(&path))).unwrap();
        assert_eq!(found.nats_server, mine.join("nats-server"));
    }

    #[test]
    fn a_file_that_cannot_be_run_is_not_a_program() {
        let root = tempfile::tempdir().unwrap();
        install(root.path(), "usr/sbin", NATS_PROGRAMS);
        let file = root.path().join("usr/sbin/nats-server");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(nats(&SearchPath::below(root.path(), None)).is_err());
    }

    #[test]
    fn a_machine_without_servers_is_told_what_would_provide_them() {
        let root = tempfile::tempdir().unwrap();
        let nothing = SearchPath::below(root.path(), None);

        let error = postgres(&nothing).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with(
                "no private PostgreSQL server: `postgres` and `initdb` not found on PATH or in \
                 `/usr/lib/postgresql/*/bin`, "
            ),
            "{text}"
        );
        assert!(error.hint().contains("`docker compose up -d`"));

        let error = nats(&nothing).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("no private NATS server: `nats-server` not found on PATH or in `/usr/sbin`, "),
            "{text}"
        );
        assert!(error.hint().contains("nats-server`"));
    }
}
