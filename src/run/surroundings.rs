//! What a report says of the place a run ran in, and when: the machine, the working copy, the time.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::Zoned;

use crate::report::schema::{Git, KIND, Machine, Report, Run, RunVerdictWord, SCHEMA, Tool};

/// The report of a run that begins here and now, in which nothing has happened yet. `command` is the command line,
/// without secrets; the run's id, the name of its folder, is the caller's to fill in.
pub fn new_report(seed: u64, command: Vec<String>) -> Report {
    Report {
        kind: KIND.to_owned(),
        schema: SCHEMA,
        tool: Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        verdict: RunVerdictWord::Interrupted,
        run: Run {
            id: String::new(),
            started: Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            elapsed_ns: 0,
            seed,
            command,
            git: git(Path::new(".")),
            machine: machine(),
        },
        scenarios: Vec::new(),
        skipped: Vec::new(),
        not_raced: Vec::new(),
        error: None,
        warnings: Vec::new(),
        files: Vec::new(),
    }
}

/// This machine. What cannot be found out is `unknown`, or 0.
pub fn machine() -> Machine {
    let unknown = || "unknown".to_owned();
    let uname = rustix::system::uname();
    Machine {
        cpu: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(unknown),
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u64),
        os: format!("{} {}", uname.sysname().to_string_lossy(), uname.release().to_string_lossy()),
        memory: memory(&read("/proc/meminfo")).unwrap_or(0),
    }
}

/// The git working copy at `directory`, if it is one and git is there.
fn git(directory: &Path) -> Option<Git> {
    let git = |arguments: &[&str]| -> Option<String> {
        let output = Command::new("git").arg("-C").arg(directory).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    Some(Git {
        sha: git(&["rev-parse", "HEAD"])?,
        branch: git(&["rev-parse", "--abbrev-ref", "HEAD"])?,
        dirty: !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty(),
    })
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The value of a `key : value` line.
fn field(text: &str, key: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(line.trim_start().strip_prefix(':')?.trim().to_owned())
}

/// `MemTotal` of /proc/meminfo, which counts in KiB, in bytes.
fn memory(meminfo: &str) -> Option<u64> {
    let kibibytes: u64 = field(meminfo, "MemTotal")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        assert_eq!(field("processor\t: 0\nmodel name\t: Fast One\n", "model name").as_deref(), Some("Fast One"));
        assert_eq!(memory("MemTotal:       24000 kB\n"), Some(24_576_000));
        assert_eq!(memory(""), None);
    }
}
