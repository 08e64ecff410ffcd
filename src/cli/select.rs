//! From paths and filters to planned cases, with every fault of every file printed at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Failure;
use super::args::{Format, Limits, Selection};
use super::output::Output;
use crate::diagnostic::{Code, Diagnostic, Severity, SourceFile};
use crate::judge::RunVerdict;
use crate::plan::{self, Overrides, PlannedScenario};
use crate::report::schema::{CaseReport, Report};
use crate::report::words::number;
use crate::scenario::{self, LoadError, Scenario};
use crate::secrets::hidden_in_lines;

/// What cases are planned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose<'a> {
    /// To say what is wrong with the files, in this form, and what would make them better.
    Check(Format),
    /// To be raced or listed. Faults are printed as text.
    Use,
    /// As `Use`, for one side of a comparison, some of whose params were given with this option.
    Variant {
        /// `--base` or `--head`.
        option: &'static str,
        /// The params that were.
        settings: &'a [(String, String)],
    },
}

impl Purpose<'_> {
    /// The option by which the param `name` was given.
    fn option(self, name: &str) -> &'static str {
        match self {
            Purpose::Variant { option, settings } if settings.iter().any(|(set, _)| set == name) => option,
            _ => "--param",
        }
    }
}

/// The scenarios chosen, planned for a run called `run`. Warnings have been printed.
pub(crate) fn plan(
    selection: &Selection,
    rounds: Option<u64>,
    run: &str,
    purpose: Purpose<'_>,
    output: &Output,
) -> Result<Vec<PlannedScenario>, Failure> {
    let format = match purpose {
        Purpose::Check(format) => format,
        Purpose::Use | Purpose::Variant { .. } => Format::Text,
    };
    let mut faults = Faults::new(format, output);
    let files = match scenario_files(&selection.paths) {
        Ok(files) => files,
        Err((path, message)) if format == Format::Json => {
            faults.unreadable(path, &message);
            Vec::new()
        }
        Err((_, message)) => return Err(Failure::new(RunVerdict::Usage, message)),
    };
    let mut loaded = load(&files, selection.limits, &mut faults);
    same_names(&loaded, &mut faults);
    loaded.retain(|scenario| {
        selection.tag.is_empty() || selection.tag.iter().any(|tag| scenario.head.tags.contains(tag))
    });
    let params = known_params(&loaded, &selection.param, purpose, &mut faults);
    let mut planned = Vec::new();
    let mut settings: BTreeSet<&str> = BTreeSet::new();
    for scenario in &loaded {
        let overrides = Overrides {
            params: params_of(scenario, &params),
            rounds,
            max_cases: selection.limits.max_cases,
            filters: selection.filter.clone(),
            run: run.to_owned(),
            variable,
        };
        match plan::cases(scenario, &overrides) {
            Ok(plan) => {
                let advice =
                    |warning: &&Diagnostic| matches!(purpose, Purpose::Check(_)) || warning.code != Code::NoControl;
                let warnings: Vec<Diagnostic> = plan.warnings.iter().filter(advice).cloned().collect();
                faults.warnings(&scenario.source, &warnings);
                if !plan.cases.is_empty() {
                    settings.extend(scenario.setting_names().filter(|name| scenario.depends_on(name)));
                }
                planned.push(PlannedScenario { head: scenario.head.clone(), cases: plan.cases });
            }
            Err(diagnostics) => faults.errors(&scenario.source, &diagnostics),
        }
    }
    if faults.errors == 0 && planned.iter().any(|scenario| !scenario.cases.is_empty()) {
        idle_params(&settings, &params, purpose, &mut faults);
    }
    faults.end()?;
    planned.retain(|scenario| !scenario.cases.is_empty());
    if planned.is_empty() {
        return Err(Failure::new(RunVerdict::Usage, nothing_selected(selection, files.len())));
    }
    Ok(planned)
}

/// The scenarios of the files that can be read.
fn load(files: &[PathBuf], limits: Limits, faults: &mut Faults<'_>) -> Vec<Scenario> {
    let mut loaded = Vec::with_capacity(files.len());
    for file in files {
        match scenario::load(file, limits.access(), &crate::driver::builtin()) {
            Ok(scenario) => {
                faults.warnings(&scenario.source, &scenario.warnings);
                loaded.push(scenario);
            }
            Err(LoadError::Invalid { source_file, diagnostics }) => faults.errors(&source_file, &diagnostics),
            Err(error @ LoadError::Unreadable { .. }) => faults.unreadable(file, &error.to_string()),
        }
    }
    loaded
}

/// An environment variable that a target's `url_env` names.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The cases of a scenario file that `report` knows, with the params that they were raced with, and the ids of those that it does not know.
pub(crate) fn plan_recorded(
    file: &Path,
    limits: Limits,
    report: &Report,
    overrides: Overrides,
    output: &Output,
) -> Result<(PlannedScenario, Vec<String>), Failure> {
    let mut faults = Faults::new(Format::Text, output);
    let mut planned = None;
    match scenario::load(file, limits.access(), &crate::driver::builtin()) {
        Ok(scenario) => {
            let recorded = report.scenarios.iter().filter(|recorded| recorded.name == scenario.head.name);
            let cases: Vec<&CaseReport> = recorded.flat_map(|recorded| &recorded.cases).collect();
            let params = cases.iter().take(1).flat_map(|case| &case.params);
            let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let params: Vec<(String, String)> = params.map(|(name, value)| (name.clone(), text(value))).collect();
            let mut overrides =
                Overrides { params: params_of(&scenario, &params), max_cases: limits.max_cases, ..overrides };
            let all = plan::cases(&scenario, &overrides);
            // A control belongs to the first case that was chosen, so the same ones must be chosen again.
            overrides.filters = cases.iter().map(|case| case.id.clone()).collect();
            match all.and_then(|all| Ok((all, plan::cases(&scenario, &overrides)?))) {
                Ok((all, chosen)) => {
                    let ids = all.cases.into_iter().map(|planned| planned.case.id.clone());
                    let unknown = ids.filter(|id| cases.iter().all(|case| case.id != *id)).collect();
                    planned = Some((PlannedScenario { head: scenario.head.clone(), cases: chosen.cases }, unknown));
                }
                Err(diagnostics) => faults.errors(&scenario.source, &diagnostics),
            }
        }
        Err(LoadError::Invalid { source_file, diagnostics }) => faults.errors(&source_file, &diagnostics),
        Err(error @ LoadError::Unreadable { .. }) => faults.message(&error.to_string()),
    }
    faults.end()?;
    Ok(planned.expect("a scenario that cannot be planned has faults"))
}

fn nothing_selected(selection: &Selection, files: usize) -> String {
    let mut narrowed = Vec::new();
    narrowed.extend(selection.tag.iter().map(|tag| format!("`--tag {tag}`")));
    narrowed.extend(selection.filter.iter().map(|filter| format!("`--filter {filter}`")));
    format!(
        "no case of {} matches {}; `deadheat list` shows all cases and tags",
        number(files as u64, "scenario file"),
        narrowed.join(" and ")
    )
}

/// The files named, and those found below directories, in a stable order. One that is named twice, whatever the way to it,
/// is read once, where it was named first. An error is of one path.
fn scenario_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, (&Path, String)> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let below = scenario::files_below(path)
                .map_err(|error| (path.as_path(), format!("cannot read `{}`: {error}", path.display())))?;
            if below.is_empty() {
                let message = format!(
                    "`{}` holds no scenario files (`*.toml`); name a file, or another directory",
                    path.display()
                );
                return Err((path, message));
            }
            files.extend(below);
        } else if path.exists() {
            files.push(path.clone());
        } else {
            let message =
                format!("there is no `{}`; name a scenario file, or a directory that holds some", path.display());
            return Err((path, message));
        }
    }
    let mut seen = BTreeSet::new();
    // A path that cannot be resolved is left as it is: reading it says what is wrong.
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    Ok(files)
}

/// Names must be unique in a run: reports are read by them.
fn same_names(loaded: &[Scenario], faults: &mut Faults<'_>) {
    let mut seen: BTreeMap<&str, &Scenario> = BTreeMap::new();
    for scenario in loaded {
        if let Some(first) = seen.insert(&scenario.head.name, scenario) {
            faults.message(&format!(
                "`{}` and `{}` are both named `{}`; give one of them another `name`",
                first.head.file.display(),
                scenario.head.file.display(),
                scenario.head.name
            ));
        }
    }
}

/// `--param` must mean something to at least one of the scenarios.
fn known_params(
    loaded: &[Scenario],
    given: &[(String, String)],
    purpose: Purpose<'_>,
    faults: &mut Faults<'_>,
) -> Vec<(String, String)> {
    for (name, _) in given {
        if !loaded.is_empty() && !loaded.iter().any(|scenario| scenario.setting_names().any(|known| known == name)) {
            let known: BTreeSet<&str> = loaded.iter().flat_map(Scenario::setting_names).collect();
            let known: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let option = purpose.option(name);
            faults.message(&format!(
                "`{option} {name}=…` names no param and no axis of these scenarios; they have {known}"
            ));
        }
    }
    given.to_vec()
}

/// `--param` must make a difference to a case that was chosen: `settings` are those that do.
fn idle_params(settings: &BTreeSet<&str>, given: &[(String, String)], purpose: Purpose<'_>, faults: &mut Faults<'_>) {
    for (name, value) in given.iter().filter(|(name, _)| !settings.contains(name.as_str())) {
        let help = "remove it, or choose the cases that use it";
        let option = purpose.option(name);
        faults.message(&format!("`{option} {name}={value}` changes nothing: no case chosen uses `{name}`; {help}"));
    }
}

/// Those params that this scenario has: a param given for a whole directory need not fit all of it.
fn params_of(scenario: &Scenario, params: &[(String, String)]) -> Vec<(String, String)> {
    let fits = |name: &String| scenario.setting_names().any(|known| known == name);
    params.iter().filter(|(name, _)| fits(name)).cloned().collect()
}

/// How many faults of a file are drawn. Nobody reads more, and each shows lines of the file.
const DRAWN_MAX: usize = 50;

/// Prints faults as they come, and remembers that there were any.
struct Faults<'a> {
    format: Format,
    output: &'a Output,
    errors: usize,
    json: Vec<serde_json::Value>,
}

impl<'a> Faults<'a> {
    fn new(format: Format, output: &'a Output) -> Self {
        Faults { format, output, errors: 0, json: Vec::new() }
    }

    fn errors(&mut self, source: &SourceFile, diagnostics: &[Diagnostic]) {
        self.errors += diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
        self.print(source, diagnostics);
    }

    fn warnings(&mut self, source: &SourceFile, diagnostics: &[Diagnostic]) {
        self.print(source, diagnostics);
    }

    fn print(&mut self, source: &SourceFile, diagnostics: &[Diagnostic]) {
        if self.format == Format::Json {
            self.json.extend(diagnostics.iter().flat_map(|found| serde_json::to_value(found.to_json(source))));
            return;
        }
        for diagnostic in diagnostics.iter().take(DRAWN_MAX) {
            let drawn = diagnostic.render(source, self.output.error_style.colour);
            self.output.note(&format!("{drawn}\n"));
        }
        if let Some(more @ 1..) = diagnostics.len().checked_sub(DRAWN_MAX) {
            let name = source.name.display();
            self.output.note(&format!("{more} more in `{name}`; `deadheat check --format json` prints all\n"));
        }
    }

    /// A fault of a whole file, or of a path that leads to none.
    fn unreadable(&mut self, path: &Path, message: &str) {
        match self.format {
            Format::Text => self.message(message),
            Format::Json => {
                let source = SourceFile::new(path, "");
                self.errors(&source, &[Diagnostic::error(Code::UnreadableFile, message)]);
            }
        }
    }

    fn message(&mut self, message: &str) {
        self.errors += 1;
        match self.format {
            Format::Text => self.output.error(message),
            Format::Json => {
                self.json.push(serde_json::json!({ "severity": "error", "message": hidden_in_lines(message) }));
            }
        }
    }

    fn end(self) -> Result<(), Failure> {
        if self.format == Format::Json {
            self.output.data(&format!("{:#}\n", serde_json::Value::Array(self.json)));
        }
        match (self.errors, self.format) {
            (0, _) => Ok(()),
            (_, Format::Json) => Err(Failure::new(RunVerdict::Usage, "")),
            (errors, Format::Text) => {
                let faults = number(errors as u64, "fault");
                Err(Failure::new(RunVerdict::Usage, format!("{faults}; nothing was raced")))
            }
        }
    }
}
