//! Races a scenario's text as `deadheat run` does: read, planned, opened on its targets, raced round by round.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use deadheat::diagnostic::SourceFile;
use deadheat::driver;
use deadheat::engine::{CaseRun, Choices, Cores, HeadStarts};
use deadheat::judge::{CaseTally, RoundJudgement, judge_round};
use deadheat::model::Case;
use deadheat::model::record::RoundRecord;
use deadheat::plan::{self, Overrides};
use deadheat::port::{Endpoint, ServerOrigin, Source, Target};
use deadheat::scenario::{self, FileAccess, LoadError};
use deadheat::server::PrivateServer;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Orders the workers in each round; any number does.
const SEED: u64 = 7;

/// The one case of a scenario, under way.
pub(crate) struct Raced {
    case: Arc<Case>,
    targets: Vec<Arc<dyn Target>>,
    race: CaseRun,
    tally: CaseTally,
    /// Ended after the race.
    cores: Cores,
}

impl Raced {
    /// Plans `text` and opens its targets at `source`, in spaces whose names begin with `space`.
    pub(crate) async fn open(text: &str, source: &Source, space: &str) -> Result<Self> {
        let case = planned(text)?;
        let mut targets = Vec::with_capacity(case.targets.len());
        for (index, spec) in case.targets.iter().enumerate() {
            targets.push(spec.driver.open(spec, source, &format!("{space}_{index}")).await?.into());
        }
        let cores = Cores::of_this_machine()?;
        let race = CaseRun::open(
            case.clone(),
            targets.clone(),
            space,
            Choices { seed: SEED, first_round: 0, head_starts: HeadStarts::Never },
            &cores,
        )
        .await?;
        Ok(Raced { tally: CaseTally::new(&case), case, targets, race, cores })
    }

    /// Races, judges and tallies one round, which must pass.
    pub(crate) async fn round(&mut self) -> Result<RoundRecord> {
        let record = self.race.round(self.tally.rounds).await?;
        let judgement: RoundJudgement = judge_round(&self.case, &record);
        self.tally.add(&self.case, &record, &judgement);
        if self.tally.failed > 0 {
            return Err(format!("round {} ended with {}", record.round, record.tally()).into());
        }
        Ok(record)
    }

    pub(crate) async fn close(self) -> Result<()> {
        self.race.close().await?;
        drop(self.cores);
        for target in self.targets {
            target.close().await?;
        }
        Ok(())
    }
}

/// The only case of a scenario's text.
fn planned(text: &str) -> Result<Arc<Case>> {
    let source = SourceFile::new("benchmark.toml", text);
    let scenario =
        scenario::parse(source, Path::new(""), FileAccess::Below, &driver::builtin()).map_err(|error| match error {
            LoadError::Invalid { source_file, diagnostics } => diagnostics
                .iter()
                .map(|diagnostic| diagnostic.render(&source_file, false))
                .collect::<Vec<_>>()
                .join("\n"),
            other @ LoadError::Unreadable { .. } => other.to_string(),
        })?;
    let plan = plan::cases(&scenario, &Overrides::default()).map_err(|diagnostics| {
        diagnostics.iter().map(|diagnostic| diagnostic.render(&scenario.source, false)).collect::<Vec<_>>().join("\n")
    })?;
    match plan.cases.as_slice() {
        [planned] => Ok(planned.case.clone()),
        cases => Err(format!("a benchmark's scenario has {} cases, wanted one", cases.len()).into()),
    }
}

/// A private server as a target's source.
pub(crate) fn at(server: &PrivateServer) -> Source {
    Source::Server(Endpoint { url: server.url.clone(), origin: ServerOrigin::Private })
}
