//! A run's temporary directory for something that is not a server, such as SQLite's file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::directory::{LOCK_FILE, lock_new};

/// The start of the names of these directories.
pub(super) const PREFIX: &str = "deadheat-files-";

/// A directory that is removed when dropped, or, if this process is killed, by the next [`super::leftover::sweep`].
#[derive(Debug)]
pub(crate) struct ScratchDirectory {
    // Removed before the lock is let go: fields are dropped in this order.
    directory: TempDir,
    _lock: File,
}

impl ScratchDirectory {
    /// Makes one in the system's directory for temporary files.
    pub(crate) fn create() -> io::Result<Self> {
        ScratchDirectory::create_in(&std::env::temp_dir())
    }

    fn create_in(root: &Path) -> io::Result<Self> {
        loop {
            let directory = tempfile::Builder::new().prefix(PREFIX).tempdir_in(root)?;
            let path: PathBuf = directory.path().join(LOCK_FILE);
            let lock = lock_new(&path)?;
            // A sweep that came before the lock took the directory for a left one, and has removed it.
            if path.exists() {
                return Ok(ScratchDirectory { directory, _lock: lock });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::leftover::{Removed, sweep_in};

    #[test]
    fn sweeps_remove_what_nobody_holds_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let roots = [root.path().to_owned()];
        let held = ScratchDirectory::create_in(root.path()).unwrap();
        std::fs::write(held.path().join("events.db"), "").unwrap();
        assert!(sweep_in(&roots).removed.is_empty());

        let left = root.path().join("deadheat-files-left");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join(LOCK_FILE), "").unwrap();
        let removed = sweep_in(&roots).removed;
        assert_eq!(removed, [Removed { kind: None, directory: left.clone(), stopped: None }]);
        assert!(removed[0].to_string().starts_with("removed the files that a killed run left behind: `"));
        assert!(!left.exists() && held.path().exists());

        let path = held.path().to_owned();
        drop(held);
        assert!(!path.exists());
    }
}
