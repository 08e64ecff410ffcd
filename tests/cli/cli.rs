//! The program as a user types it, in a place of its own, and what it did there.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use deadheat::report::schema::Report;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// No command of these tests takes longer, however busy the machine is.
const DEADLINE: Duration = Duration::from_secs(300);

/// A command line to be, in a working directory of its own. Clones share the directory.
///
/// Servers and temporary files go below that directory as well; whatever a command leaves there, or running, fails its test.
#[derive(Clone)]
pub(crate) struct Cli {
    place: Rc<TempDir>,
    scenarios: Rc<RefCell<usize>>,
    args: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    shell: Option<String>,
}

impl Cli {
    pub(crate) fn new() -> Self {
        let place = tempfile::Builder::new().prefix("clitest-").tempdir().unwrap();
        // PostgreSQL is started as another user when we are root, and must get through.
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        for folder in ["work", "tmp"] {
            fs::create_dir(place.path().join(folder)).unwrap();
        }
        Cli { place: Rc::new(place), scenarios: Rc::default(), args: Vec::new(), environment: Vec::new(), shell: None }
    }

    /// The working directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.place.path().join("work")
    }

    /// The directory for temporary files.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.place.path().join("tmp")
    }

    /// Puts a file into the working directory.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Puts a scenario into `scenarios/`, where commands look for them by themselves.
    pub(crate) fn scenario(self, text: &str) -> Self {
        let number = self.scenarios.replace_with(|number| *number + 1);
        self.file(&format!("scenarios/{number}.toml"), text)
    }

    /// Copies a folder of this project's into the working directory, with the same path.
    pub(crate) fn shipped(self, folder: &str) -> Self {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        fs::create_dir_all(self.work().join(folder)).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, self.work().join(folder).join(path.file_name().unwrap())).unwrap();
            }
        }
        self
    }

    pub(crate) fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// A machine on which no server is installed.
    pub(crate) fn no_servers(self) -> Self {
        let empty = self.tmp();
        self.env("DEADHEAT_SERVER_ROOT", &empty).env("PATH", "")
    }

    /// Runs the program from `bash`, after this line of it, such as `ulimit -f 8`.
    pub(crate) fn after(mut self, line: &str) -> Self {
        self.shell = Some(line.to_owned());
        self
    }

    pub(crate) fn start(&self) -> Running {
        let program = env!("CARGO_BIN_EXE_deadheat");
        let mut command = match &self.shell {
            None => Command::new(program),
            Some(line) => {
                let mut command = Command::new("bash");
                command.args(["-c", &format!("{line}; exec \"$0\" \"$@\""), program]);
                command
            }
        };
        command.args(&self.args).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("TMPDIR", self.tmp());
        // Private servers can be killed, and are the same on every machine.
        command.env("DEADHEAT_NO_COMPOSE", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.work()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = Printed::by(child.stdout.take().unwrap());
        let stderr = Printed::by(child.stderr.take().unwrap());
        Running { cli: self.clone(), child, output: Some((stdout, stderr)) }
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self) -> Ended {
        self.start().wait()
    }

    /// The folders of the runs so far.
    fn folders(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.work().join("reports")).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    }

    /// Private servers that belong to this place: their directory and process id.
    pub(crate) fn servers(&self, kind: &str) -> Vec<(PathBuf, Pid)> {
        let entries = fs::read_dir(self.tmp()).into_iter().flatten().flatten().map(|entry| entry.path());
        let of_kind = entries
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("deadheat-{kind}-")));
        of_kind
            .filter_map(|path| {
                let process = fs::read_to_string(path.join("process")).ok()?;
                let pid = process.split_whitespace().next()?.parse().ok()?;
                Some((path, Pid::from_raw(pid)?))
            })
            .collect()
    }

    /// What is in the directory for temporary files, and which processes know of it.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        self.left_files().into_iter().chain(processes_in(self.place.path())).collect()
    }

    /// What is in the directory for temporary files.
    fn left_files(&self) -> Vec<String> {
        fs::read_dir(self.tmp()).unwrap().map(|entry| entry.unwrap().path().display().to_string()).collect()
    }
}

/// The command lines of the processes that work in `directory` or were told of it. Knows only Linux.
fn processes_in(directory: &Path) -> Vec<String> {
    let name = directory.to_str().unwrap();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let works_in = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            (line.contains(name) || works_in.to_string_lossy().contains(name)).then_some(line)
        })
        .collect()
}

/// What a command has printed so far, read by a thread of its own for as long as there is more.
struct Printed {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Printed {
    fn by(mut from: impl Read + Send + 'static) -> Self {
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let read = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let count = from.read(&mut buffer).unwrap();
                if count == 0 {
                    return;
                }
                read.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Printed { bytes, reader }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn whole(self) -> String {
        self.reader.join().unwrap();
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

/// Calls `look` until it finds something; panics after the deadline.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "{what} did not happen within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A command under way. Killed when dropped.
pub(crate) struct Running {
    cli: Cli,
    child: Child,
    /// Standard output and standard error; none once they are taken at the end.
    output: Option<(Printed, Printed)>,
}

impl Running {
    /// Waits until rounds have been raced and written down.
    pub(crate) fn until_racing(&mut self) -> &mut Self {
        eventually("a round", || {
            assert!(self.child.try_wait().unwrap().is_none(), "the run ended too early");
            let folder = self.cli.folders().pop()?;
            (fs::metadata(folder.join("rounds.csv")).ok()?.len() > 1000).then_some(())
        });
        self
    }

    /// Waits until this is on standard error.
    pub(crate) fn until_stderr_has(&mut self, text: &str) -> &mut Self {
        eventually(&format!("`{text}` on stderr"), || {
            self.output.as_ref().is_some_and(|(_, stderr)| stderr.so_far().contains(text)).then_some(())
        });
        self
    }

    /// Waits for so long that another signal is not part of the first.
    pub(crate) fn after_a_moment(&mut self) -> &mut Self {
        thread::sleep(Duration::from_millis(1_100));
        self
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> &mut Self {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self
    }

    /// Waits for the end, which must be in time and leave nothing behind.
    pub(crate) fn wait(self) -> Ended {
        let ended = self.wait_killed();
        let files = ended.cli.left_files();
        assert!(files.is_empty(), "left behind: {files:#?}\n{ended:?}");
        // Processes that were told to end, or that lost their parent, still need a processor for it.
        eventually("the end of every process", || processes_in(ended.cli.place.path()).is_empty().then_some(()));
        ended
    }

    /// As [`Running::wait`], for a command that had no chance to clean up.
    pub(crate) fn wait_killed(mut self) -> Ended {
        let status = eventually("the end", || self.child.try_wait().unwrap());
        let (stdout, stderr) = self.output.take().unwrap();
        let (stdout, stderr) = (stdout.whole(), stderr.whole());
        let ended = Ended { cli: self.cli.clone(), code: status.code(), signal: status.signal(), stdout, stderr };
        assert!(!matches!(ended.code, Some(2 | 101)), "{ended:?}");
        assert!(!ended.stderr.contains("panic"), "{ended:?}");
        ended
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that has ended.
pub(crate) struct Ended {
    cli: Cli,
    code: Option<i32>,
    signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl std::fmt::Debug for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Ended { cli, code, signal, stdout, stderr } = self;
        let args = &cli.args;
        write!(
            f,
            "deadheat {args:?}\n--- code {code:?}, signal {signal:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---"
        )
    }
}

impl Ended {
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn killed(self) -> Self {
        assert_eq!(self.signal, Some(Signal::KILL.as_raw()), "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn stdout_has(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "wanted on stdout: {text}\n{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn stdout_lacks(self, text: &str) -> Self {
        assert!(!self.stdout.contains(text), "not wanted on stdout: {text}\n{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn stdout_is(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn stderr_has(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "wanted on stderr: {text}\n{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn stderr_lacks(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "not wanted on stderr: {text}\n{self:?}");
        self
    }

    #[track_caller]
    pub(crate) fn stderr_is(self, text: &str) -> Self {
        assert_eq!(self.stderr, text, "{self:?}");
        self
    }

    /// How many errors and warnings were printed. Lines of progress, and notes of what others left on this machine, are none.
    pub(crate) fn errors(&self) -> usize {
        self.stderr.lines().filter(|line| line.starts_with("error") || line.starts_with("warning")).count()
    }

    /// The run's folder: the only one there is.
    #[track_caller]
    pub(crate) fn folder(&self) -> PathBuf {
        let folders = self.cli.folders();
        assert_eq!(folders.len(), 1, "{folders:?}\n{self:?}");
        folders.into_iter().next().unwrap()
    }

    /// The run's report, read back and checked as `compare` does it.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        deadheat::report::load(&self.folder()).unwrap_or_else(|error| panic!("{error}\n{self:?}"))
    }

    /// Everything that was printed or written down.
    pub(crate) fn everything(&self) -> String {
        format!("{}{}{}", self.stdout, self.stderr, written(&self.folder()))
    }
}

/// The names and the text of all files in a folder and in those below it.
fn written(folder: &Path) -> String {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: &Path| if path.is_dir() { written(path) } else { fs::read_to_string(path).unwrap() };
    paths.map(|path| format!("{}\n{}", path.display(), text(&path))).collect()
}
