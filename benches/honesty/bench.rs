//! Races a subject against itself and compares the two, in either form.

use std::collections::BTreeMap;
use std::time::Instant;

use deadheat::compare::{self, Options, Side};
use deadheat::engine::Cores;
use deadheat::plan::PlannedScenario;
use deadheat::report::schema::{Comparison, MetricComparison};
use deadheat::report::{RunFolder, load_samples};
use deadheat::run::endpoints::{Endpoints, Sources};
use deadheat::run::{self, Inputs, LiveSide, OpenTargets, PlannedPair, Stop, Turns};
use deadheat::server::find::SearchPath;

use crate::Result;
use crate::subject::Subject;

/// How a subject is compared with itself, once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trial {
    /// How long the attempts of BASE and HEAD sleep first, in milliseconds.
    pub(crate) delays_ms: [Option<u64>; 2],
    /// Rounds on each side.
    pub(crate) rounds: u64,
    pub(crate) seed: u64,
}

/// The servers of some subjects, and a folder for the reports.
pub(crate) struct Bench {
    endpoints: Endpoints,
    folder: tempfile::TempDir,
    cores: Cores,
}

impl Bench {
    pub(crate) async fn open(subjects: &[Subject]) -> Result<Self> {
        let sources = Sources {
            given: BTreeMap::new(),
            variable: |_| None,
            compose: false,
            search: SearchPath::system(std::env::var_os("PATH").as_deref()),
            allow_remote: false,
        };
        let plans: Vec<_> = subjects.iter().map(|subject| subject.plan(None, 1, "unused")).collect::<Result<_>>()?;
        let cases = plans.iter().flat_map(PlannedScenario::all_cases);
        Ok(Bench {
            endpoints: Endpoints::provide(sources, 2, cases).await?,
            folder: tempfile::tempdir()?,
            cores: Cores::of_this_machine()?,
        })
    }

    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.endpoints.close().await?)
    }

    /// Races both variants in turns, and compares them in pairs.
    pub(crate) async fn live(&self, subject: &Subject, trial: Trial) -> Result<MetricComparison> {
        let Trial { delays_ms, rounds, seed } = trial;
        let run = run::namespace_prefix();
        let case = |delay_ms, side: &str| -> Result<_> {
            let case = subject.plan(delay_ms, rounds, &format!("{run}{side}"))?.cases.swap_remove(0).case;
            let sources = case.targets.iter().map(|target| self.endpoints.source(target));
            let sources = sources.collect::<std::result::Result<_, _>>()?;
            Ok((case, sources))
        };
        let pair = PlannedPair { base: case(delays_ms[0], "b")?, head: case(delays_ms[1], "h")? };
        let side = |side: &str| -> Result<LiveSide> {
            let folder = RunFolder::create(self.folder.path(), &format!("{run}{side}"))?;
            Ok(LiveSide { report: run::new_report(seed, Vec::new()), folder, run: format!("{run}{side}") })
        };
        let mut sides = [side("b")?, side("h")?];
        let turns = Turns { rounds, warm_up: 3, seed };
        let (stop, open) = (Stop::default(), OpenTargets::default());
        let pairs = run::live(&[pair], turns, &mut sides, &stop, &open, &self.cores, &mut |_| {}).await?;
        let options = Options { seed, ..Options::default() };
        gate(compare::compare_live(&sides[1].report.run, ["base", "head"], &pairs, &options))
    }

    /// Races one variant after the other, each as a run of its own, and compares their reports.
    pub(crate) async fn stored(&self, subject: &Subject, trial: Trial) -> Result<MetricComparison> {
        let Trial { delays_ms, rounds, seed } = trial;
        let mut runs = Vec::new();
        for delay_ms in delays_ms {
            let name = run::namespace_prefix();
            let planned = [subject.plan(delay_ms, rounds, &name)?];
            let mut folder = RunFolder::create(self.folder.path(), &name)?;
            let mut report = run::new_report(seed, Vec::new());
            let inputs = Inputs {
                began: Instant::now(),
                run: &name,
                scenarios: &planned,
                endpoints: &self.endpoints,
                options: run::Options::default(),
                again: None,
                steering: &deadheat::engine::Steering::default(),
                stop: &Stop::default(),
                open: &OpenTargets::default(),
                cores: &self.cores,
            };
            run::run(inputs, &mut report, &mut folder, &mut |_| {}).await?;
            let samples = load_samples(folder.path(), &report)?;
            runs.push((report, samples));
        }
        let [(base, of_base), (head, of_head)] = runs.as_slice() else { return Err("there are two runs".into()) };
        let base = Side { name: "base", report: base, samples: of_base };
        let head = Side { name: "head", report: head, samples: of_head };
        gate(compare::compare(base, head, &Options { seed, ..Options::default() }))
    }
}

/// What the only case's gate says.
fn gate(mut comparison: Comparison) -> Result<MetricComparison> {
    let mut case = comparison.cases.pop().ok_or("the comparison has no case")?;
    let position = case.latency.iter().position(|metric| metric.gate).ok_or("the case has no gate")?;
    Ok(case.latency.swap_remove(position))
}
