//! Finds and removes the servers and temporary files that dead runs left behind.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::directory::{LOCK_FILE, PROCESS_FILE, default_roots, prefix, remove_all};
use super::identity::ProcessIdentity;
use super::process::end_group;
use super::scratch;
use super::{ServerError, ServerKind};

/// A directory without a lock or a recorded process may belong to a run that is just making or
/// removing it. After this time it does not.
const SETTLING: Duration = Duration::from_secs(120);

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Sweep {
    /// What is gone now.
    pub removed: Vec<Removed>,
    /// What was left behind and could not be removed.
    pub failed: Vec<ServerError>,
}

/// A server, or a directory of files, that a dead run left behind, and that is gone now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Which server it was; `None` for files alone.
    pub kind: Option<ServerKind>,
    /// Where it was.
    pub directory: PathBuf,
    /// The server's process, if it still ran.
    pub stopped: Option<u32>,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Removed { kind, directory, stopped } = self;
        match (kind, stopped) {
            (Some(kind), Some(pid)) => {
                write!(f, "stopped a {kind} server (pid {pid}) that a killed run left behind, and removed")?;
            }
            (Some(kind), None) => write!(f, "removed what was left of a killed run's {kind} server:")?,
            (None, _) => f.write_str("removed the files that a killed run left behind:")?,
        }
        write!(f, " `{}`", directory.display())
    }
}

/// Stops the servers of dead runs and removes the directories of such runs, wherever
/// [`super::default_roots`] puts them. Blocks; at most some 10 seconds for each.
///
/// Servers of living runs and of other users are not touched, nor is a process that was given a
/// dead server's process id. Several sweeps may go on at once.
pub fn sweep() -> Sweep {
    sweep_in(&default_roots())
}

/// As [`sweep`], in directories of the caller's choice.
pub fn sweep_in(roots: &[PathBuf]) -> Sweep {
    let mut sweep = Sweep::default();
    for entry in roots.iter().flat_map(fs::read_dir).flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = ServerKind::ALL.into_iter().find(|kind| name.starts_with(&prefix(*kind)));
        let Ok(metadata) = entry.metadata() else { continue };
        if kind.is_none() && !name.starts_with(scratch::PREFIX) {
            continue;
        }
        // The roots are open to everyone: what others put there must not make us kill or remove
        // anything. `metadata` of an entry does not follow links.
        let is_ours = metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw();
        if !is_ours {
            continue;
        }
        let path = entry.path();
        match clear(&path, kind) {
            Ok(None) => {}
            Ok(Some(removed)) => sweep.removed.push(removed),
            Err(source) => sweep.failed.push(ServerError::File { act: "remove", path, source }),
        }
    }
    sweep
}

/// Clears one directory away, unless its run lives.
fn clear(path: &Path, kind: Option<ServerKind>) -> io::Result<Option<Removed>> {
    // Held until the directory is gone, so that two sweeps do not meet in it.
    let lock = match File::open(path.join(LOCK_FILE)) {
        Ok(file) => match file.try_lock() {
            Ok(()) => Some(file),
            // Locked by its run, or on a file system that cannot tell.
            Err(_) => return Ok(None),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    // Looked at only now: a directory that its run is removing was changed a moment ago.
    let modified = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.modified()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let process = ProcessIdentity::read(&path.join(PROCESS_FILE));
    let is_settling = modified.elapsed().is_ok_and(|age| age < SETTLING);
    let is_complete = lock.is_some() && (process.is_some() || kind.is_none());
    if !is_complete && is_settling {
        return Ok(None);
    }

    let running = process.filter(ProcessIdentity::is_running);
    if let (Some(process), Some(kind)) = (&running, kind)
        && !end_group(process.pid, kind, || process.is_running())
    {
        return Err(io::Error::other(format!("its process {} cannot be stopped", process.pid)));
    }
    remove_all(path)?;
    Ok(Some(Removed {
        kind,
        directory: path.to_owned(),
        stopped: running.map(|process| process.pid.as_raw_nonzero().get().unsigned_abs()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::testing::{self, processes_end_in, processes_in};
    use crate::server::{PrivateServer, nats, postgres};
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    use std::time::{Instant, SystemTime};

    const OWNER_ROOT: &str = "DEADHEAT_TEST_OWNER_ROOT";

    async fn start_both(root: &Path) -> [PrivateServer; 2] {
        let (programs, options) = testing::postgres(root);
        let (program, nats_options) = testing::nats(root);
        let (postgres, nats) = tokio::join!(postgres::start(&programs, &options), nats::start(&program, &nats_options));
        [postgres.unwrap(), nats.unwrap()]
    }

    /// The run that is killed by the next test, which runs this one in a process of its own.
    #[tokio::test]
    async fn owner() {
        let Some(root) = std::env::var_os(OWNER_ROOT) else {
            return;
        };
        let servers = start_both(Path::new(&root)).await;
        // Not by `println!`, which the test harness captures.
        let mut out = io::stdout();
        for server in &servers {
            writeln!(out, "server {} {}", server.pid(), server.directory().display()).unwrap();
        }
        writeln!(out, "ready").unwrap();
        out.flush().unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }

    #[tokio::test]
    async fn live_servers_of_a_killed_run_are_removed_and_those_of_a_living_run_are_not() {
        let root = testing::root();
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "server::leftover::tests::owner", "--nocapture"])
            .env(OWNER_ROOT, root.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut left: Vec<(u32, PathBuf)> = Vec::new();
        for line in BufReader::new(owner.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, server)) = line.split_once("server ")
                && let Some((pid, directory)) = server.split_once(' ')
                && let Ok(pid) = pid.parse()
            {
                left.push((pid, directory.into()));
            }
            if line == "ready" {
                break;
            }
        }
        assert_eq!(left.len(), 2);
        let roots = [root.path().to_owned()];
        assert!(sweep_in(&roots).removed.is_empty(), "the owner lives");

        owner.kill().unwrap();
        owner.wait().unwrap();
        let (program, options) = testing::nats(root.path());
        let living = nats::start(&program, &options).await.unwrap();
        for (_, directory) in &left {
            assert!(!processes_in(directory).is_empty(), "it outlived its owner");
        }

        let start = Instant::now();
        let mut swept = sweep_in(&roots);
        eprintln!("sweep of 2 servers: {:?}", start.elapsed());
        assert!(swept.failed.is_empty(), "{:?}", swept.failed);
        swept.removed.sort_by_key(|it| it.kind);
        let expected: Vec<Removed> = [ServerKind::Postgres, ServerKind::Nats]
            .into_iter()
            .zip(&left)
            .map(|(kind, (pid, directory))| Removed {
                kind: Some(kind),
                directory: directory.clone(),
                stopped: Some(*pid),
            })
            .collect();
        assert_eq!(swept.removed, expected);
        for (_, directory) in &left {
            assert!(!directory.exists());
            processes_end_in(directory).await;
        }

        assert!(living.is_alive());
        assert!(living.directory().exists());
        living.stop().await.unwrap();
    }

    /// A directory as a dead run leaves it.
    fn left_directory(root: &Path, process: Option<&str>) -> PathBuf {
        let directory = root.join("deadheat-nats-left");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join(LOCK_FILE), "").unwrap();
        if let Some(process) = process {
            fs::write(directory.join(PROCESS_FILE), process).unwrap();
        }
        directory
    }

    #[test]
    fn a_process_that_was_given_a_dead_servers_id_is_not_touched() {
        let root = testing::root();
        let mut other = Command::new("sleep").arg("60").spawn().unwrap();
        let directory = left_directory(root.path(), Some(&format!("{} 1\n", other.id())));

        let swept = sweep_in(&[root.path().to_owned()]);
        assert_eq!(swept.removed.len(), 1);
        assert_eq!(swept.removed[0].stopped, None);
        assert!(!directory.exists());
        assert!(other.try_wait().unwrap().is_none(), "it still runs");
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_directory_without_a_process_is_removed_once_it_is_old() {
        let root = testing::root();
        let roots = [root.path().to_owned()];
        let directory = left_directory(root.path(), None);
        assert!(sweep_in(&roots).removed.is_empty());
        assert!(directory.exists());

        let old = SystemTime::now() - SETTLING - Duration::from_secs(1);
        File::open(&directory).unwrap().set_modified(old).unwrap();
        assert_eq!(sweep_in(&roots).removed.len(), 1);
        assert!(!directory.exists());
    }

    #[test]
    fn links_files_and_other_names_are_not_touched() {
        let root = testing::root();
        let elsewhere = testing::root();
        let real = left_directory(elsewhere.path(), Some("1 1\n"));
        std::os::unix::fs::symlink(&real, root.path().join("deadheat-nats-link")).unwrap();
        fs::write(root.path().join("deadheat-nats-file"), "").unwrap();
        fs::create_dir(root.path().join("deadheat-other")).unwrap();

        let swept = sweep_in(&[root.path().to_owned()]);
        assert!(swept.removed.is_empty() && swept.failed.is_empty());
        assert!(real.exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 3);
    }

    #[test]
    fn directories_of_other_users_are_not_touched() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let root = testing::root();
        let directory = left_directory(root.path(), Some("1 1\n"));
        std::os::unix::fs::chown(&directory, Some(65534), None).unwrap();
        assert!(sweep_in(&[root.path().to_owned()]).removed.is_empty());
        assert!(directory.exists());
    }
}
