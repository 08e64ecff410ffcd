//! `deadheat list`: the cases and controls of scenarios.

use serde_json::json;

use super::Failure;
use super::args::{Format, ListArgs};
use super::output::Output;
use super::select::{self, Purpose};
use crate::judge::RunVerdict;
use crate::model::Case;
use crate::plan::PlannedScenario;
use crate::report::words::{number, one_line};

pub(crate) fn exec(args: &ListArgs, output: &Output) -> Result<RunVerdict, Failure> {
    // Faults are printed as text in any case: the list itself is the data.
    let planned = select::plan(&args.selection, None, "run", Purpose::Use, output)?;
    match args.format {
        Format::Text => output.text(&planned.iter().map(text).collect::<Vec<_>>().join("\n")),
        Format::Json => {
            let scenarios: Vec<serde_json::Value> = planned.iter().map(json).collect();
            output.data(&format!("{:#}\n", serde_json::Value::Array(scenarios)));
        }
    }
    Ok(RunVerdict::Pass)
}

fn text(scenario: &PlannedScenario) -> String {
    let head = &scenario.head;
    let tags = if head.tags.is_empty() { String::new() } else { format!("  ({})", head.tags.join(", ")) };
    let mut text = one_line(&format!("{}: {}{tags}", head.name, head.summary)) + "\n";
    for planned in &scenario.cases {
        let Case { id, workers, rounds, .. } = planned.case.as_ref();
        let (workers, rounds) = (number(workers.len() as u64, "worker"), number(*rounds, "round"));
        text.push_str(&format!("  {}  {workers}, {rounds}\n", one_line(id)));
        for control in &planned.controls {
            text.push_str(&format!("    control {}\n", one_line(&control.id)));
        }
    }
    text
}

fn json(scenario: &PlannedScenario) -> serde_json::Value {
    let cases = scenario.cases.iter().map(|planned| {
        json!({
            "id": planned.case.id,
            "workers": planned.case.workers.len(),
            "rounds": planned.case.rounds,
            "controls": planned.controls.iter().map(|control| &control.id).collect::<Vec<_>>(),
        })
    });
    json!({
        "file": scenario.head.file.display().to_string(),
        "name": scenario.head.name,
        "summary": scenario.head.summary,
        "tags": scenario.head.tags,
        "cases": cases.collect::<Vec<_>>(),
    })
}
