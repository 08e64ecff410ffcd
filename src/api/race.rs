//! A race of closures.

use std::fmt::{self, Display, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;

use super::closures::{CLOSURES, Closures, Context, Fault, Hook, WORD, Work};
use super::error::Error;
use super::refused::Refused;
use super::report::Report;
use super::run::{Settings, planned, raced, unreadable};
use crate::diagnostic::SourceFile;
use crate::engine::Cores;
use crate::model::{BarrierSpec, Case};
use crate::plan::Overrides;
use crate::port::{Drivers, Options, PauseAt};
use crate::run;
use crate::scenario::{self, FileAccess};
use crate::value::Value;

/// How long workers wait for each other at a barrier.
const BARRIER_TIMEOUT: Duration = Duration::from_secs(5);

/// A race of closures, being described.
#[derive(Debug, Clone)]
#[must_use = "a race is raced by `run`"]
pub struct Race {
    name: String,
    workers: usize,
    barriers: Vec<String>,
    expected: Vec<(String, String)>,
    /// Name and expression of each, by [`Closures::reads`].
    invariants: Vec<(String, String)>,
    /// Name, reason and broken checks of each, by [`Closures::works`] after the first.
    controls: Vec<(String, String, Vec<String>)>,
    closures: Closures,
    settings: Settings,
}

/// A race of this number of workers, who all do the same.
pub fn race(workers: usize) -> Race {
    Race {
        name: "race".to_owned(),
        workers,
        barriers: Vec::new(),
        expected: Vec::new(),
        invariants: Vec::new(),
        controls: Vec::new(),
        closures: Closures::default(),
        settings: Settings::default(),
    }
}

/// A closure as the engine calls it.
fn work<F, E>(work: impl Fn(Context) -> F + Send + Sync + 'static) -> Work
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<Refused>,
{
    Arc::new(move |context| {
        let attempt = work(context);
        async move { attempt.await.map_err(Into::into) }.boxed()
    })
}

impl Race {
    /// The race's name in reports: letters, digits, `-`, `_` and `.` [default: `race`].
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How many rounds are raced [default: 100].
    pub fn rounds(mut self, rounds: u64) -> Self {
        self.settings.rounds = Some(rounds);
        self
    }

    /// The seed of the orders [default: random].
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// The folder that gets a folder with the run's files [default: nothing is kept].
    pub fn out(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.out = Some(folder.into());
        self
    }

    /// A barrier at which all workers meet, wherever their closures call [`Context::barrier`] with its name.
    pub fn barrier(mut self, name: impl Into<String>) -> Self {
        self.barriers.push(name.into());
        self
    }

    /// What each worker does. An error ends its attempt with the error's outcome; a panic ends it as a crash.
    pub fn worker<F, E>(mut self, worker: impl Fn(Context) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Refused>,
    {
        self.closures.works.truncate(self.controls.len() + 1);
        if self.closures.works.is_empty() {
            self.closures.works.push(work(worker));
        } else {
            self.closures.works[0] = work(worker);
        }
        self
    }

    /// A broken variant: what workers do instead, why that is broken, and the checks of which one must break. It proves
    /// that the race would notice.
    pub fn control<F, E>(
        mut self,
        name: impl Into<String>,
        why: impl Into<String>,
        breaks: &[&str],
        worker: impl Fn(Context) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Refused>,
    {
        if self.closures.works.is_empty() {
            // The worker's own place, until `worker` fills it.
            self.closures.works.push(work(|_| async { Err(Refused::crash("the race has no worker; call `worker`")) }));
        }
        let breaks = breaks.iter().map(|check| (*check).to_owned()).collect();
        self.controls.push((name.into(), why.into(), breaks));
        self.closures.works.push(work(worker));
        self
    }

    /// What is done before each round; it gets the round's number.
    pub fn before_round<F, E>(mut self, hook: impl Fn(u64) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Refused>,
    {
        self.closures.hooks.push(Arc::new(move |round| {
            let done = hook(round);
            async move { done.await.map_err(Into::into) }.boxed()
        }));
        self
    }

    /// A fault: something that happens in each round while the workers race, such as the end of a connection or a server. It
    /// gets the round's number, and stands in the history of kept rounds. The round is over when it has ended, too.
    pub fn fault<F, E>(mut self, name: impl Into<String>, act: impl Fn(u64) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Refused>,
    {
        let act: Hook = Arc::new(move |round| {
            let done = act(round);
            async move { done.await.map_err(Into::into) }.boxed()
        });
        self.settings.steering.actors.push(Arc::new(Fault { name: name.into(), act }));
        self
    }

    /// How many attempts of each round end with this outcome: a number, or text such as `">= 1"` or `"workers - 1"`. An outcome
    /// that is not named must not occur [default: all succeed].
    pub fn expect(mut self, outcome: impl Into<String>, count: impl Display) -> Self {
        self.expected.push((outcome.into(), count.to_string()));
        self
    }

    /// A check of the final state after each round: `that` is an expression over `found`, which `read` gives, and over the
    /// counts of outcomes, such as `found == success`.
    pub fn invariant<F, E>(
        mut self,
        name: impl Into<String>,
        that: impl Into<String>,
        read: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<i64, E>> + Send + 'static,
        E: Into<Refused>,
    {
        self.invariants.push((name.into(), that.into()));
        self.closures.reads.push(Arc::new(move || {
            let found = read();
            async move { found.await.map(Value::Int).map_err(Into::into) }.boxed()
        }));
        self
    }

    /// Races it.
    pub async fn run(self) -> Result<Report, Error> {
        let source = SourceFile::new(format!("{}.rs", self.name), self.scenario());
        let drivers = Drivers::new([&CLOSURES as _]);
        let scenario = scenario::parse(source, Path::new("."), FileAccess::Below, &drivers);
        let scenario = scenario.map_err(|error| unreadable(&error))?;
        let run = run::namespace_prefix();
        let overrides = Overrides { rounds: self.settings.rounds, run: run.clone(), ..Overrides::default() };
        let mut planned = planned(&scenario, &overrides)?;
        for planned in &mut planned.cases {
            for case in std::iter::once(&mut planned.case).chain(&mut planned.controls) {
                let case = Arc::get_mut(case).expect("a case that was just planned is not shared");
                self.furnish(case);
            }
        }
        // In place: what the closures use may belong to the runtime of whoever races them.
        raced(&run, planned, Default::default(), self.settings.clone(), &Cores::in_place()).await
    }

    /// Gives a case its closures and its barriers, which a scenario's text cannot hold.
    fn furnish(&self, case: &mut Case) {
        let first = case.barriers.len();
        let parties: Vec<usize> = (0..case.workers.len()).collect();
        let barriers = self.barriers.iter().map(|name| BarrierSpec {
            name: name.clone(),
            timeout: BARRIER_TIMEOUT,
            parties: parties.clone(),
        });
        case.barriers.extend(barriers);
        let points = self.barriers.iter().enumerate();
        let pauses: Vec<PauseAt> =
            points.map(|(index, name)| PauseAt { point: Arc::from(name.as_str()), barrier: first + index }).collect();
        for target in &mut case.targets {
            target.options = Options::new(self.closures.clone());
            target.requests.iter_mut().for_each(|it| it.request.pauses.clone_from(&pauses));
        }
    }

    /// The scenario that the race is, but for its closures.
    fn scenario(&self) -> String {
        let mut text = String::new();
        self.write_scenario(&mut text).expect("a String takes whatever is written to it");
        text
    }

    fn write_scenario(&self, out: &mut impl Write) -> fmt::Result {
        let step = |which: usize| format!("{{ which = {which}, worker = \"${{worker}}\", round = \"${{round}}\" }}");
        writeln!(out, "schema = 1\nname = {}\n[targets.code]\ndriver = \"{WORD}\"", quoted(&self.name))?;
        let hooks = (0..self.closures.hooks.len())
            .map(|which| format!("{{ hook = {{ which = {which}, round = \"${{round}}\" }} }}"));
        writeln!(out, "[fixture]\nbefore_round = [{}]", hooks.collect::<Vec<_>>().join(", "))?;
        writeln!(out, "[[workers]]\nname = \"worker\"\ncount = {}", self.workers)?;
        writeln!(out, "steps = [{{ name = \"work\", work = {} }}]\n[expect]", step(0))?;
        if self.expected.is_empty() {
            writeln!(out, "success = \"workers\"")?;
        }
        for (outcome, count) in &self.expected {
            writeln!(out, "{} = {}", quoted(outcome), quoted(count))?;
        }
        for (which, (name, that)) in self.invariants.iter().enumerate() {
            let (name, that) = (quoted(name), quoted(that));
            writeln!(out, "[[invariants]]\nname = {name}\nread = {{ which = {which} }}\nthat = {that}")?;
        }
        for (index, (name, why, breaks)) in self.controls.iter().enumerate() {
            let breaks: Vec<String> = breaks.iter().map(|check| quoted(check)).collect();
            writeln!(
                out,
                "[[controls]]\nname = {}\nwhy = {}\nbreaks = [{}]",
                quoted(name),
                quoted(why),
                breaks.join(", ")
            )?;
            writeln!(out, "replace = {{ work = {{ work = {} }} }}", step(index + 1))?;
        }
        Ok(())
    }
}

/// Text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
