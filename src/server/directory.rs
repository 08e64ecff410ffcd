//! The temporary directory of one private server.
//!
//! ```text
//! deadheat-postgres-XXXXXX/   ours; its name tells the kind of server
//!   owner.lock                locked for as long as the run that made the directory lives
//!   process                   the server's process id and start time
//!   log                       what the server printed
//!   data/                     the server's own; its user's when we are root
//! ```

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::run_as::RunAs;
use super::{ServerError, ServerKind};

/// How long a directory may resist removal, e.g. while the last processes write their last files.
const REMOVE_DEADLINE: Duration = Duration::from_secs(3);
/// How much of a log's end is looked at.
const TAIL_BYTES: u64 = 64 * 1024;

pub(super) const LOCK_FILE: &str = "owner.lock";
pub(super) const PROCESS_FILE: &str = "process";

/// The start of the names of directories that hold servers of `kind`.
pub(super) fn prefix(kind: ServerKind) -> String {
    format!("deadheat-{}-", kind.as_str())
}

/// The directories in which private servers are put and left ones are looked for: the system's
/// directory for temporary files first.
pub fn default_roots() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for root in [std::env::temp_dir(), PathBuf::from("/var/tmp"), PathBuf::from("/tmp")] {
        let root = root.canonicalize().unwrap_or(root);
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// A directory of ours, removed when dropped.
#[derive(Debug)]
pub(super) struct ServerDirectory {
    path: PathBuf,
    /// Tells everyone that we live. The kernel lets go of it when we end, however we end.
    _lock: File,
}

impl ServerDirectory {
    /// Makes a directory in the first of `roots` that takes one and that `user`, if given, can
    /// reach.
    pub(super) fn create(kind: ServerKind, roots: &[PathBuf], user: Option<RunAs>) -> Result<Self, ServerError> {
        let mut tried = Vec::new();
        for root in roots {
            match ServerDirectory::create_in(root, kind, user) {
                Ok(directory) => return Ok(directory),
                Err(error) => tried.push(match user {
                    Some(user) => {
                        format!("`{}` (for user `{}`): {error}", root.display(), user.name)
                    }
                    None => format!("`{}`: {error}", root.display()),
                }),
            }
        }
        Err(ServerError::NoDirectory { kind, tried })
    }

    fn create_in(root: &Path, kind: ServerKind, user: Option<RunAs>) -> io::Result<Self> {
        // PostgreSQL reports its data directory with links resolved, and is asked for it.
        let path = tempfile::Builder::new()
            .prefix(&prefix(kind))
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(root.canonicalize()?)?
            .keep();
        let directory = lock_new(&path.join(LOCK_FILE)).map(|lock| ServerDirectory { path: path.clone(), _lock: lock });
        let directory = match directory {
            Ok(directory) => directory,
            Err(error) => {
                remove_all(&path)?;
                return Err(error);
            }
        };
        let data = directory.data();
        DirBuilder::new().mode(0o700).create(&data)?;
        if let Some(user) = user {
            // The user may pass through our directory, but only write to its own.
            fs::set_permissions(&directory.path, Permissions::from_mode(0o711))?;
            chown(&data, Some(user.uid), Some(user.gid))?;
            user.check_access(&data)?;
        }
        Ok(directory)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    pub(super) fn log_path(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(super) fn process_path(&self) -> PathBuf {
        self.path.join(PROCESS_FILE)
    }

    /// The last lines of the log, oldest first; empty when there is none.
    pub(super) fn log_tail(&self, lines: usize) -> String {
        tail(&self.log_path(), lines).unwrap_or_default()
    }

    /// Removes the directory now, and says so when that is not possible.
    pub(super) fn remove(self) -> Result<(), ServerError> {
        remove_all(&self.path).map_err(|source| ServerError::File { act: "remove", path: self.path.clone(), source })
    }
}

impl Drop for ServerDirectory {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; the next run's sweep tries again.
        let _ = remove_all(&self.path);
    }
}

pub(super) fn lock_new(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    // Waits only for a sweep that is just looking at the new directory and will let it be.
    match file.lock() {
        // Without locks nobody can learn that we ended, and nobody will touch the directory.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        other => other.map(|()| file),
    }
}

/// Removes a directory, again and again while something still writes to it.
pub(super) fn remove_all(path: &Path) -> io::Result<()> {
    let deadline = Instant::now() + REMOVE_DEADLINE;
    loop {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => {
                return Ok(());
            }
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn tail(path: &Path, lines: usize) -> io::Result<String> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_that_cannot_be_used_is_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().join("missing"), root.path().to_owned()];
        let directory = ServerDirectory::create(ServerKind::Nats, &roots, None).unwrap();
        assert!(directory.path().starts_with(root.path().canonicalize().unwrap()));
        let path = directory.path().to_owned();
        assert!(path.join(LOCK_FILE).exists());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn no_usable_root_is_an_error_that_names_each() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().join("one"), root.path().join("two")];
        let error = ServerDirectory::create(ServerKind::Nats, &roots, None).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/one`: ") && text.contains("/two`: "), "{text}");
        assert!(error.hint().unwrap().contains("TMPDIR"));
    }

    #[test]
    fn a_root_that_the_unprivileged_user_cannot_reach_is_passed_over() {
        let Some(user) = RunAs::needed().unwrap() else {
            return;
        };
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        let open = tempfile::tempdir().unwrap();
        fs::set_permissions(open.path(), Permissions::from_mode(0o755)).unwrap();
        let roots = [closed.path().to_owned(), open.path().to_owned()];
        let directory = ServerDirectory::create(ServerKind::Postgres, &roots, Some(user)).unwrap();
        assert!(directory.path().starts_with(open.path()));
        assert_eq!(fs::read_dir(closed.path()).unwrap().count(), 0);

        let error = ServerDirectory::create(ServerKind::Postgres, &roots[..1], Some(user)).unwrap_err();
        assert!(error.to_string().contains("for user"), "{error}");
    }

    #[test]
    fn a_tail_is_the_last_lines() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a\nb\nc\n").unwrap();
        assert_eq!(tail(file.path(), 2).unwrap(), "b\nc");
        assert_eq!(tail(file.path(), 9).unwrap(), "a\nb\nc");
        assert_eq!(tail(file.path(), 0).unwrap(), "");
    }
}
