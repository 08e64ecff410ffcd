//! Whether two runs can be compared, and what else is not the same.

use crate::judge::RunVerdict;
use crate::report::schema::{
    CaseReport, DifferenceReport, ExpectationRow, GroupReport, Report, RunVerdictWord, ScenarioReport,
};

/// Settings that a scenario's author chooses, or that follow from what else is raced in a run: they change what is compared, not whether it can be.
const CHOSEN: [&str; 5] = ["cache", "guard", "instances", "lookup", "max_connections"];

/// Memory is compared in whole units of this: what the system keeps for itself differs from start to start.
const MEMORY_UNIT: u64 = 1 << 30;

struct Differences<'a> {
    case: Option<&'a str>,
    found: Vec<DifferenceReport>,
}

impl Differences<'_> {
    fn note(&mut self, what: impl Into<String>, base: impl ToString, head: impl ToString) {
        let (base, head) = (base.to_string(), head.to_string());
        if base != head {
            self.found.push(DifferenceReport { case: self.case.map(str::to_owned), what: what.into(), base, head });
        }
    }
}

/// What keeps two runs from being compared as a whole.
pub(super) fn runs(base: &Report, head: &Report) -> Vec<DifferenceReport> {
    let mut differences = Differences { case: None, found: Vec::new() };
    differences.note("the run", end_of(base), end_of(head));
    let (before, after) = (&base.run.machine, &head.run.machine);
    differences.note("tool version", &base.tool.version, &head.tool.version);
    differences.note("machine: processor", &before.cpu, &after.cpu);
    differences.note("machine: cores", before.cores, after.cores);
    differences.note("machine: system", &before.os, &after.os);
    let memory = |bytes: u64| format!("{} GiB", (bytes + MEMORY_UNIT / 2) / MEMORY_UNIT);
    differences.note("machine: memory", memory(before.memory), memory(after.memory));
    differences.found
}

/// Whether a run came to its own end: one that did not may lack the very cases that would tell.
fn end_of(report: &Report) -> String {
    match report.verdict {
        RunVerdictWord::Interrupted | RunVerdictWord::Environment | RunVerdictWord::Usage => {
            format!("ended early ({})", RunVerdict::from(report.verdict))
        }
        _ => "came to its end".to_owned(),
    }
}

/// A run held against itself: whatever it is to show, it would find nothing.
pub(super) fn same_run(report: &Report) -> DifferenceReport {
    let id = report.run.id.clone();
    DifferenceReport { case: None, what: "both sides are the same run".to_owned(), base: id.clone(), head: id }
}

/// Two runs without a case in common.
pub(super) fn nothing_in_common(base: &Report, head: &Report) -> DifferenceReport {
    let ids = |report: &Report| {
        let ids: Vec<&str> =
            report.scenarios.iter().flat_map(|scenario| &scenario.cases).map(|case| case.id.as_str()).collect();
        if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
    };
    DifferenceReport { case: None, what: "scenarios and cases".to_owned(), base: ids(base), head: ids(head) }
}

/// What keeps two runs of a case from being compared: who races, and against what.
pub(super) fn cases(base: &CaseReport, head: &CaseReport) -> Vec<DifferenceReport> {
    let mut differences = Differences { case: Some(&head.id), found: Vec::new() };
    let groups = |case: &CaseReport| {
        let groups = case.race.groups.iter().map(|group| format!("{} {}", group.workers, group.name));
        groups.collect::<Vec<_>>().join(", ")
    };
    differences.note("worker groups", groups(base), groups(head));
    let names =
        |case: &CaseReport| case.targets.iter().map(|target| target.name.as_str()).collect::<Vec<_>>().join(", ");
    differences.note("targets", names(base), names(head));
    for (before, after) in base.targets.iter().zip(&head.targets).filter(|(before, after)| before.name == after.name) {
        let name = &after.name;
        differences.note(format!("target `{name}`: driver"), &before.driver, &after.driver);
        differences.note(format!("target `{name}`: version"), &before.version, &after.version);
        for (key, base, head) in settings(&before.settings, &after.settings, false) {
            differences.note(format!("target `{name}`: setting `{key}`"), base, head);
        }
    }
    differences.found
}

/// What else changed in a case: often the very thing compared.
pub(super) fn changes(base: &CaseReport, head: &CaseReport) -> Vec<DifferenceReport> {
    let mut changes = Differences { case: Some(&head.id), found: Vec::new() };
    for (before, after) in base.targets.iter().zip(&head.targets).filter(|(before, after)| before.name == after.name) {
        changes.note(format!("target `{}`: origin", after.name), &before.origin, &after.origin);
        for (key, base, head) in settings(&before.settings, &after.settings, true) {
            changes.note(format!("target `{}`: `{key}`", after.name), base, head);
        }
    }
    let names: std::collections::BTreeSet<&String> = base.params.keys().chain(head.params.keys()).collect();
    for name in names {
        let value = |case: &CaseReport| case.params.get(name).map_or_else(|| "absent".to_owned(), ToString::to_string);
        changes.note(format!("param `{name}`"), value(base), value(head));
    }
    for after in &head.race.groups {
        if let Some(before) = base.race.groups.iter().find(|before| before.name == after.name) {
            group(&mut changes, before, after);
        }
    }
    let expected = |rows: &[ExpectationRow], row: &ExpectationRow| {
        let same = |other: &&ExpectationRow| other.group == row.group && other.outcome == row.outcome;
        rows.iter().find(same).map(|row| row.expected.clone())
    };
    for row in &head.race.expectations {
        if let Some(before) = expected(&base.race.expectations, row) {
            let outcome = row.outcome;
            changes.note(format!("expectation of `{outcome}`"), before, &row.expected);
        }
    }
    let invariants = |case: &CaseReport| {
        let texts = case.race.invariants.iter().map(|invariant| format!("{}: {}", invariant.name, invariant.that));
        texts.collect::<Vec<_>>().join("; ")
    };
    changes.note("invariants", invariants(base), invariants(head));
    changes.found
}

fn group(changes: &mut Differences<'_>, before: &GroupReport, after: &GroupReport) {
    let name = &after.name;
    changes.note(format!("`{name}`: repeat"), before.repeat, after.repeat);
    let isolation = |group: &GroupReport| group.transaction.clone().unwrap_or_else(|| "none".to_owned());
    changes.note(format!("`{name}`: transaction"), isolation(before), isolation(after));
    let order = |group: &GroupReport| group.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(", ");
    changes.note(format!("`{name}`: steps"), order(before), order(after));
    for step in &after.steps {
        if let Some(old) = before.steps.iter().find(|old| old.name == step.name) {
            changes.note(format!("`{name}`: what step `{}` does", step.name), &old.action, &step.action);
            changes.note(format!("`{name}`: text of step `{}`", step.name), &old.text, &step.text);
        }
    }
}

/// That a scenario's text changed: in what, the differences of its cases may tell.
pub(super) fn text(base: &ScenarioReport, head: &ScenarioReport) -> Option<DifferenceReport> {
    let short = |hash: &str| hash.chars().take(12).collect::<String>();
    (base.hash != head.hash).then(|| DifferenceReport {
        case: None,
        what: format!("text of scenario `{}` (hash)", head.name),
        base: short(&base.hash),
        head: short(&head.hash),
    })
}

type Settings = std::collections::BTreeMap<String, String>;

/// The settings that either has, of those that are chosen or of the others.
fn settings<'a>(base: &'a Settings, head: &'a Settings, chosen: bool) -> Vec<(&'a str, &'a str, &'a str)> {
    let keys: std::collections::BTreeSet<&String> = base.keys().chain(head.keys()).collect();
    let keys = keys.into_iter().filter(|key| CHOSEN.contains(&key.as_str()) == chosen);
    let value = |settings: &'a Settings, key: &String| settings.get(key).map_or("unknown", String::as_str);
    keys.map(|key| (key.as_str(), value(base, key), value(head, key))).collect()
}
