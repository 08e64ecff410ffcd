//! The user that PostgreSQL is started as when we are root, which it refuses to run as.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::ServerError;

const CANDIDATES: &[&str] = &["postgres", "nobody"];

/// An unprivileged user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunAs {
    pub name: &'static str,
    pub uid: u32,
    pub gid: u32,
}

impl RunAs {
    /// `None` when we are not root and need nobody else.
    pub(super) fn needed() -> Result<Option<RunAs>, ServerError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        match CANDIDATES.iter().find_map(|name| RunAs::named(name)) {
            Some(user) => Ok(Some(user)),
            None => Err(ServerError::NoUser { tried: CANDIDATES }),
        }
    }

    /// Asks `id`, which knows the users of directory services as well as those of /etc/passwd.
    fn named(name: &'static str) -> Option<RunAs> {
        let ask = |which: &str| -> Option<u32> {
            let output = Command::new("id").args([which, name]).output().ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()
        };
        let user = RunAs { name, uid: ask("-u")?, gid: ask("-g")? };
        (user.uid != 0).then_some(user)
    }

    /// Makes `command` run as this user. The standard library drops root's supplementary groups
    /// when it changes the user.
    pub(super) fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Whether this user can reach and write `directory`.
    pub(super) fn check_access(&self, directory: &Path) -> io::Result<()> {
        let mut command = Command::new("test");
        command.args(["-w", "."]).current_dir(directory).stdin(Stdio::null());
        self.apply(&mut command);
        if command.status()?.success() { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }
}
