//! A scenario, raced from Rust.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::error::Error;
use super::report::Report;
use super::sources::{from_environment, variable};
use crate::diagnostic::{Diagnostic, SourceFile};
use crate::driver::builtin;
use crate::engine::{Cores, Steering};
use crate::plan::{self, Overrides, PlannedScenario};
use crate::port::Drivers;
use crate::report::{RunFolder, forms, run_name};
use crate::run::endpoints::{EndpointError, Endpoints};
use crate::run::{self, Inputs, OpenTargets, Options, Stop};
use crate::scenario::{self, FileAccess, LoadError, Scenario};

/// A run of a scenario. It finds or starts servers as `deadheat run` does.
#[derive(Debug, Clone)]
pub struct Run {
    scenario: Source,
    params: Vec<(String, String)>,
    targets: BTreeMap<String, String>,
    filters: Vec<String>,
    drivers: Option<Drivers>,
    settings: Settings,
}

/// What a run of a scenario and a race of closures have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) rounds: Option<u64>,
    pub(super) seed: Option<u64>,
    pub(super) out: Option<PathBuf>,
    pub(super) steering: Steering,
}

#[derive(Debug, Clone)]
enum Source {
    File(PathBuf),
    Text { name: String, text: String },
}

impl Run {
    /// The scenario in a file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Run::of(Source::File(path.into()))
    }

    /// A scenario as text; `name` stands for its file in messages. The files that it names are below the working directory.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Run::of(Source::Text { name: name.into(), text: text.into() })
    }

    fn of(scenario: Source) -> Self {
        Run {
            scenario,
            params: Vec::new(),
            targets: BTreeMap::new(),
            filters: Vec::new(),
            drivers: None,
            settings: Settings::default(),
        }
    }

    /// The value of a param, or the values to which an axis is narrowed, separated by commas.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.params.push((name.into(), value.to_string()));
        self
    }

    /// The URL of a target's server.
    #[must_use]
    pub fn target(mut self, name: impl Into<String>, url: impl Into<String>) -> Self {
        self.targets.insert(name.into(), url.into());
        self
    }

    /// Only cases whose id contains this text, or one of those given before.
    #[must_use]
    pub fn filter(mut self, text: impl Into<String>) -> Self {
        self.filters.push(text.into());
        self
    }

    /// How many rounds each case is raced [default: from the scenario].
    #[must_use]
    pub fn rounds(mut self, rounds: u64) -> Self {
        self.settings.rounds = Some(rounds);
        self
    }

    /// The seed of the orders [default: random].
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// The folder that gets a folder with the run's files [default: nothing is kept].
    #[must_use]
    pub fn out(mut self, folder: impl Into<PathBuf>) -> Self {
        self.settings.out = Some(folder.into());
        self
    }

    /// The drivers that the scenario may name [default: [`builtin`]].
    #[must_use]
    pub fn drivers(mut self, drivers: Drivers) -> Self {
        self.drivers = Some(drivers);
        self
    }

    /// Races every case of the scenario. Dropping the future ends the run; what it had created on servers that stay is then
    /// left behind.
    pub async fn run(self) -> Result<Report, Error> {
        let drivers = self.drivers.unwrap_or_else(builtin);
        let scenario = match &self.scenario {
            Source::File(path) => scenario::load(path, FileAccess::Below, &drivers),
            Source::Text { name, text } => {
                scenario::parse(SourceFile::new(name, text), Path::new("."), FileAccess::Below, &drivers)
            }
        };
        let scenario = scenario.map_err(|error| unreadable(&error))?;
        let run = run::namespace_prefix();
        let overrides = Overrides {
            params: self.params,
            rounds: self.settings.rounds,
            filters: self.filters,
            run: run.clone(),
            variable,
            ..Overrides::default()
        };
        let planned = planned(&scenario, &overrides)?;
        let cores = Cores::of_this_machine().map_err(Error::environment)?;
        raced(&run, planned, self.targets, self.settings, &cores).await
    }
}

/// What is wrong with a scenario, drawn.
pub(super) fn unreadable(error: &LoadError) -> Error {
    match error {
        LoadError::Invalid { source_file, diagnostics } => drawn(source_file, diagnostics),
        LoadError::Unreadable { .. } => Error::usage(error),
    }
}

fn drawn(source: &SourceFile, diagnostics: &[Diagnostic]) -> Error {
    let drawn: Vec<String> = diagnostics.iter().map(|diagnostic| diagnostic.render(source, false)).collect();
    Error::usage(drawn.join("\n\n"))
}

pub(super) fn planned(scenario: &Scenario, overrides: &Overrides) -> Result<PlannedScenario, Error> {
    let plan = plan::cases(scenario, overrides).map_err(|faults| drawn(&scenario.source, &faults))?;
    if plan.cases.is_empty() {
        let message =
            format!("no case of `{}` matches the filters: {}", scenario.head.name, overrides.filters.join(", "));
        return Err(Error::usage(message));
    }
    Ok(PlannedScenario { head: scenario.head.clone(), cases: plan.cases })
}

/// Races a scenario that was planned for the run called `run`.
pub(super) async fn raced(
    run: &str,
    planned: PlannedScenario,
    targets: BTreeMap<String, String>,
    settings: Settings,
    cores: &Cores,
) -> Result<Report, Error> {
    let began = Instant::now();
    let sources = from_environment(targets, false);
    sources.check(planned.all_cases()).map_err(not_provided)?;
    let seed = settings.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let mut report = run::new_report(seed, Vec::new());
    report.not_raced = planned.cases.iter().map(|it| it.case.id.clone()).collect();
    let scratch = tempfile::tempdir().map_err(Error::environment)?;
    let name = run_name(&report.run.started, report.run.git.as_ref());
    let out = settings.out.as_deref().unwrap_or(scratch.path());
    let mut folder = RunFolder::create(out, &name).map_err(Error::environment)?;
    report.run.id = name;
    let endpoints = Endpoints::provide(sources, 1, planned.all_cases()).await.map_err(not_provided)?;
    let (stop, open) = (Stop::default(), OpenTargets::default());
    let scenarios = [planned];
    let inputs = Inputs {
        began,
        run,
        scenarios: &scenarios,
        endpoints: &endpoints,
        options: Options::default(),
        again: None,
        steering: &settings.steering,
        stop: &stop,
        open: &open,
        cores,
    };
    let raced = run::run(inputs, &mut report, &mut folder, &mut |_| ()).await;
    let closed = endpoints.close().await;
    raced.map_err(|error| Error::new(error.verdict(), error))?;
    closed.map_err(Error::environment)?;
    if settings.out.is_some() {
        forms::write(&folder, &report).map_err(Error::environment)?;
    }
    Ok(Report(report))
}

fn not_provided(error: EndpointError) -> Error {
    Error::new(error.verdict(), error)
}
