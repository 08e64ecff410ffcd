//! Checks that every expression uses only names that are bound where it stands, and that no name means two things.

use std::collections::{BTreeMap, BTreeSet};

use super::model::*;
use super::reader::Unread;
use super::variant::{ResolvedStep, changes, variants_of};
use crate::diagnostic::{Code, Diagnostic, Span, suggestion};
use crate::outcome::OutcomeKind;
use crate::port::{At, Request, ResultShape, TemplateAt, Use};

/// Names that are bound by the tool, somewhere or everywhere, and so cannot be given.
const RESERVED: [&str; 9] = ["round", "round_id", "worker", "workers", "group", "run", "rows", "affected", "result"];

/// What was found out about names.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Faults.
    pub diagnostics: Vec<Diagnostic>,
    /// The names that are used by something that is raced, prepared or checked.
    pub used: BTreeSet<String>,
}

/// The names of a place, with what bound each and where. Those of the place around it are shared, not copied: a scenario has
/// thousands of places.
#[derive(Debug, Default)]
struct Names<'a> {
    around: Option<&'a Names<'a>>,
    own: BTreeMap<String, (&'static str, Option<Span>)>,
}

impl<'a> Names<'a> {
    /// The names with further ones that the tool binds.
    fn and(&'a self, built_in: &[&str]) -> Names<'a> {
        let own = built_in.iter().map(|name| ((*name).to_owned(), ("a built-in name", None))).collect();
        Names { around: Some(self), own }
    }

    /// What bound `name`, and where.
    fn get(&self, name: &str) -> Option<&(&'static str, Option<Span>)> {
        self.own.get(name).or_else(|| self.around?.get(name))
    }

    /// Every name, those of the place around it first.
    fn all(&self) -> Vec<&str> {
        let mut all = self.around.map(Names::all).unwrap_or_default();
        all.extend(self.own.keys().map(String::as_str));
        all
    }

    /// Binds `name`, which is `what`; that it is bound already, elsewhere, is a fault.
    fn bind(&mut self, name: &At<String>, what: &'static str, found: &mut Found) {
        let known = self.get(&name.value);
        let built_in = RESERVED.contains(&name.value.as_str());
        match known {
            Some((_, Some(span))) if *span == name.span => {}
            Some((_, span)) if span.is_none() || built_in => found.diagnostics.push(reserved(name)),
            Some((other, span)) => {
                let message = format!("`{}` is {what}, but already {other}", name.value);
                let mut diagnostic = Diagnostic::error(Code::NameClash, message).at(&name.span, what);
                if let Some(span) = span {
                    diagnostic = diagnostic.see(span, *other);
                }
                let help = "params, axes, keys of `each`, saved values and built-in names share one space: rename one";
                found.diagnostics.push(diagnostic.help(help));
            }
            None if built_in => found.diagnostics.push(reserved(name)),
            None => {
                self.own.insert(name.value.clone(), (what, Some(name.span.clone())));
            }
        }
    }

    /// Notes every use of a name that is not bound.
    fn check(&self, uses: &[Use], found: &mut Found) {
        found.used.extend(uses.iter().map(|name| name.value.clone()));
        for name in uses.iter().filter(|name| self.get(&name.value).is_none()) {
            let message = format!("`{}` is not bound here", name.value);
            let mut diagnostic = Diagnostic::error(Code::UnknownName, message).at(&name.span, "unknown name");
            diagnostic.help = suggestion(&name.value, self.all());
            found.diagnostics.push(diagnostic);
        }
    }

    fn check_request(&self, request: &Request<TemplateAt>, found: &mut Found) {
        request.values().for_each(|template| self.check(&template.uses, found));
    }
}

fn reserved(name: &At<String>) -> Diagnostic {
    let message = format!("`{}` is a built-in name", name.value);
    Diagnostic::error(Code::NameClash, message).at(&name.span, "taken").help("choose another name")
}

/// The names of the scenario and of its controls.
pub(super) fn check(scenario: &Scenario, unread: &Unread) -> Found {
    let mut found = Found::default();
    let unread: Vec<&str> = unread.names.iter().map(String::as_str).collect();
    let everywhere = Names::default();
    let mut settings = everywhere.and(&[&["run"], unread.as_slice()].concat());
    for param in &scenario.params {
        settings.bind(&param.name, "a param", &mut found);
    }
    for axis in &scenario.axes {
        settings.bind(&axis.name, "an axis", &mut found);
    }
    for target in &scenario.targets {
        check_target(target, &settings, &mut found);
    }
    let case = settings.and(&["workers"]);
    let fixture = &scenario.fixture;
    for step in fixture.setup.iter().chain(&fixture.teardown) {
        case.check_request(&step.request, &mut found);
    }
    let round = case.and(&["round", "round_id"]);
    for step in fixture.before_round.iter().chain(&fixture.after_round) {
        round.check_request(&step.request, &mut found);
    }
    let changes = changes(scenario);
    for group in &scenario.groups {
        if let Some(count) = &group.count {
            settings.check(&count.uses, &mut found);
        }
        let worker = case.and(&["worker", "group"]);
        let worker = check_rows(group, &worker, &mut found);
        // What a step that there is not would save is not known.
        if group.steps.iter().all(|reference| scenario.step(reference).is_some()) {
            for steps in variants_of(scenario, group, &changes) {
                check_steps(&steps, &worker, &case, &mut found);
            }
        }
    }
    check_checks(&scenario.checks, &case, &mut found);
    found
}

fn check_target(target: &Target, settings: &Names<'_>, found: &mut Found) {
    let options = target.options.iter().flat_map(|(_, entry)| entry.values());
    for template in options.chain(&target.url) {
        settings.check(&template.uses, found);
    }
}

/// The names of a group's workers: those of `names` and the keys of `each`, which every row must have.
fn check_rows<'a>(group: &Group, names: &'a Names<'a>, found: &mut Found) -> Names<'a> {
    let mut worker = names.and(&[]);
    let Some(first) = group.each.first() else {
        if let Some(transaction) = &group.transaction {
            worker.check(&transaction.uses, found);
        }
        return worker;
    };
    for (name, _) in first {
        worker.bind(name, "a key of `each`", found);
    }
    for row in &group.each {
        for (_, value) in row {
            names.check(&value.uses, found);
        }
        let keys = |row: &Row| row.iter().map(|(key, _)| key.value.clone()).collect::<BTreeSet<_>>();
        let (wanted, given) = (keys(first), keys(row));
        let lacking = first.iter().filter(|(key, _)| !given.contains(&key.value));
        let extra = row.iter().filter(|(key, _)| !wanted.contains(&key.value));
        for (key, _) in lacking.chain(extra) {
            let message = format!("not every row of `each` has `{}`", key.value);
            let diagnostic = Diagnostic::error(Code::MissingKey, message).at(&key.span, "only some rows have it");
            found.diagnostics.push(diagnostic.help("all rows of a group need the same keys"));
        }
    }
    if let Some(transaction) = &group.transaction {
        worker.check(&transaction.uses, found);
    }
    worker
}

/// Steps see what earlier steps saved. Counts are evaluated before the race and see only the `case`'s names.
fn check_steps(steps: &[ResolvedStep<'_>], worker: &Names<'_>, case: &Names<'_>, found: &mut Found) {
    let mut names = worker.and(&["round", "round_id"]);
    let counts = case.and(&["group"]);
    for ResolvedStep { step, .. } in steps {
        match &step.action {
            Action::Barrier(_) => {}
            Action::Sleep(pause) => names.check(&pause.uses, found),
            Action::Assert(condition) => names.check(&condition.uses, found),
            Action::Let(bindings) => {
                for (name, value) in bindings {
                    names.check(&value.uses, found);
                    names.bind(name, "a name of `let`", found);
                }
            }
            Action::Call(request) => names.check_request(request, found),
        }
        if let Some(rows) = &step.rows {
            counts.check(&rows.uses, found);
        }
        if let Save::Expressions(entries) = &step.save {
            let result = names.and(&["rows", "affected", "result"]);
            entries.iter().for_each(|(_, value)| result.check(&value.uses, found));
        }
        for name in step.save.names() {
            names.bind(name, "a saved value", found);
        }
    }
}

fn check_checks(checks: &Checks, case: &Names<'_>, found: &mut Found) {
    let expectations = checks.expect.iter().chain(checks.by_group.iter().map(|(_, expectation)| expectation));
    let counts = expectations.flat_map(|expectation| &expectation.counts).chain(&checks.sometimes);
    for (_, count) in counts {
        case.check(&count.uses, found);
    }
    let round = case.and(&["round", "round_id"]);
    let outcomes = OutcomeKind::ALL.map(|kind| kind.as_str().replace('-', "_"));
    for invariant in &checks.invariants {
        round.check_request(&invariant.probe, found);
        let result = match invariant.probe.spec.result {
            ResultShape::Rows => vec!["rows"],
            ResultShape::Value(name) => vec![name, "result"],
        };
        let words: Vec<&str> = result.iter().copied().chain(outcomes.iter().map(String::as_str)).collect();
        for name in invariant.that.uses.iter().filter(|name| words.contains(&name.value.as_str())) {
            if let Some((what, Some(span))) = round.get(&name.value) {
                let message =
                    format!("`{}` is {what}, but in this invariant also what was read or counted", name.value);
                let diagnostic = Diagnostic::error(Code::NameClash, message).at(&name.span, "which of the two?");
                found.diagnostics.push(diagnostic.see(span, *what).help("rename it"));
            }
        }
        round.and(&words).check(&invariant.that.uses, found);
    }
}
