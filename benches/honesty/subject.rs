//! What is compared with itself: three workloads that last long enough to be slowed by a few percent, and every case of
//! the shipped scenarios that runs without a server.

use std::path::Path;
use std::sync::Arc;

use deadheat::expression::Template;
use deadheat::model::{Action, Case, Save, Step};
use deadheat::plan::{self, Overrides, PlannedScenario};
use deadheat::scenario::{self, FileAccess, Scenario};
use deadheat::value::Value;

use crate::Result;

pub(crate) const SUBJECTS: [&str; 4] = ["sqlite", "postgres", "jetstream", SHIPPED];

/// All shipped cases together.
const SHIPPED: &str = "shipped";

/// One case of a scenario.
pub(crate) struct Subject {
    scenario: Arc<Scenario>,
    /// The position of the case.
    position: usize,
    id: String,
}

/// The subjects of a name.
pub(crate) fn named(name: &str) -> Result<Vec<Subject>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if name != SHIPPED {
        return subjects(&root.join("benches/honesty").join(name).with_extension("toml"));
    }
    let mut shipped = Vec::new();
    for file in scenario::files_below(&root.join("scenarios"))? {
        shipped.extend(subjects(&file)?);
    }
    let is_embedded = |case: &Case| case.targets.iter().all(|target| target.driver.provider(&target.options).is_none());
    let mut embedded = Vec::new();
    for subject in shipped {
        if subject.plan(None, 1, "unused")?.all_cases().all(is_embedded) {
            embedded.push(subject);
        }
    }
    Ok(embedded)
}

fn subjects(file: &Path) -> Result<Vec<Subject>> {
    let scenario = Arc::new(scenario::load(file, FileAccess::Below, &deadheat::driver::builtin())?);
    let plan = planned(&scenario, &Overrides::default())?;
    let subject = |(position, id)| Subject { scenario: scenario.clone(), position, id };
    Ok(plan.cases.iter().map(|planned| planned.case.id.clone()).enumerate().map(subject).collect())
}

impl Subject {
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The case alone, without controls, to be raced in spaces of `run`. With `delay_ms` every attempt begins with a sleep.
    pub(crate) fn plan(&self, delay_ms: Option<u64>, rounds: u64, run: &str) -> Result<PlannedScenario> {
        let overrides = Overrides { rounds: Some(rounds), run: run.to_owned(), ..Overrides::default() };
        let mut plan = planned(&self.scenario, &overrides)?;
        let mut chosen = plan.cases.swap_remove(self.position);
        chosen.controls.clear();
        if let Some(delay_ms) = delay_ms {
            let case = Arc::get_mut(&mut chosen.case).ok_or("the case is in use already")?;
            for group in &mut case.groups {
                let delay = Step {
                    name: "delay".to_owned(),
                    action: Action::Sleep(Template::Literal(Value::text(format!("{delay_ms}ms")))),
                    rows: None,
                    save: Save::Nothing,
                    ..group.steps[0].clone()
                };
                group.steps.insert(0, delay);
            }
        }
        Ok(PlannedScenario { head: self.scenario.head.clone(), cases: vec![chosen] })
    }
}

fn planned(scenario: &Scenario, overrides: &Overrides) -> Result<plan::Plan> {
    plan::cases(scenario, overrides).map_err(|faults| format!("{faults:?}").into())
}
