//! Tells one process from a later one that was given the same process id.

use std::fs;
use std::io;
use std::path::Path;

use rustix::process::Pid;

/// A process id together with when the process started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessIdentity {
    pub pid: Pid,
    /// In the operating system's own words, only good for comparing.
    started: String,
}

impl ProcessIdentity {
    /// The process that now has this id, unless there is none or it has ended.
    pub(super) fn of(pid: Pid) -> Option<Self> {
        let started = started(pid)?;
        Some(ProcessIdentity { pid, started })
    }

    /// Whether this very process still runs. One that ended and waits for its parent to notice
    /// does not run.
    pub(super) fn is_running(&self) -> bool {
        started(self.pid).is_some_and(|now| now == self.started)
    }

    /// Writes `PID STARTED` to a file.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        fs::write(path, format!("{} {}\n", self.pid, self.started))
    }

    /// Reads what [`ProcessIdentity::write`] wrote; `None` for a missing or damaged file.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        // Without its line end, the file was cut short and the time may be only half there.
        let (pid, started) = text.strip_suffix('\n')?.split_once(' ')?;
        let pid: u32 = pid.parse().ok()?;
        Some(ProcessIdentity { pid: Pid::from_raw(i32::try_from(pid).ok()?)?, started: started.to_owned() })
    }
}

/// Clock ticks from boot to the start of the process: field 22 of its `stat`.
#[cfg(target_os = "linux")]
fn started(pid: Pid) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the program's name, may hold blanks and brackets itself.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    let started = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then(|| started.to_owned())
}

/// The start time as `ps` prints it.
#[cfg(not(target_os = "linux"))]
fn started(pid: Pid) -> Option<String> {
    let output = std::process::Command::new("ps")
        .args(["-o", "state=,lstart=", "-p", &pid.to_string()])
        .env("LC_ALL", "C")
        .output()
        .ok()?;
    let line = String::from_utf8(output.stdout).ok()?;
    let (state, started) = line.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_is_recognised_until_it_ends() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let identity = ProcessIdentity::of(Pid::from_child(&child)).unwrap();
        assert!(identity.is_running());

        let file = tempfile::NamedTempFile::new().unwrap();
        identity.write(file.path()).unwrap();
        assert_eq!(ProcessIdentity::read(file.path()), Some(identity.clone()));

        let later = ProcessIdentity { started: format!("{}0", identity.started), ..identity.clone() };
        assert!(!later.is_running(), "another start time is another process");

        // Not yet waited for: a zombie.
        drop(child.stdin.take());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while identity.is_running() && std::time::Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert!(!identity.is_running());
        child.wait().unwrap();
        assert_eq!(ProcessIdentity::of(identity.pid), None);
    }

    #[test]
    fn a_damaged_file_identifies_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in ["", "12", "12 345", "x 345\n", "0 345\n", "-1 345\n"] {
            fs::write(file.path(), text).unwrap();
            assert_eq!(ProcessIdentity::read(file.path()), None, "{text:?}");
        }
    }
}
