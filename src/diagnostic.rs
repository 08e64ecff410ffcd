//! Faults of a scenario file: what is wrong, where, what was wanted, and what to do. Plain data; drawing is one pure function.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

use crate::secrets::{hidden_in_lines, hidden_in_place};

/// Bytes of a source file.
pub type Span = Range<usize>;

/// A file that diagnostics point into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// The file, as the user named it.
    pub name: PathBuf,
    text: String,
    /// Where each line begins. Without this, finding a line would read the file from its start for every place in it.
    line_starts: Vec<usize>,
}

impl SourceFile {
    /// A file and what is in it.
    pub fn new(name: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        SourceFile { name: name.into(), text, line_starts }
    }

    /// What is in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column, both from 1 and the column in characters, of a byte offset.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = (0..=offset.min(self.text.len())).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or(0);
        let line = self.line(offset);
        (line + 1, self.text[self.line_starts[line]..offset].chars().count() + 1)
    }

    /// The line of a byte offset, from 0.
    fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset) - 1
    }

    /// The part of a span that is in the file.
    fn clamped(&self, span: &Span) -> Span {
        let start = span.start.min(self.text.len());
        start..span.end.clamp(start, self.text.len())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal,)*) => {
        /// What kind of fault it is. The words are stable: scripts may match on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $code,)* }

        impl Code {
            /// All codes.
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            /// The kebab-case word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$code => $word,)* }
            }
        }
    };
}

codes! {
    /// The file is not TOML.
    Syntax = "syntax",
    /// `schema` is newer than this version of the tool, or no schema there is.
    UnsupportedSchema = "unsupported-schema",
    /// A part of the format that this version of the tool does not carry out.
    Unsupported = "unsupported",
    /// A key that has no meaning where it stands.
    UnknownKey = "unknown-key",
    /// A key that has to be there is not.
    MissingKey = "missing-key",
    /// Two keys that exclude each other.
    ConflictingKeys = "conflicting-keys",
    /// A value of another type than the key wants.
    WrongType = "wrong-type",
    /// A value of the right type that the key does not allow.
    BadValue = "bad-value",
    /// Text that is not a duration.
    BadDuration = "bad-duration",
    /// Text that is not a count.
    BadCount = "bad-count",
    /// Text that is not a CEL expression.
    BadExpression = "bad-expression",
    /// Text that is not a regular expression.
    BadPattern = "bad-pattern",
    /// A file that cannot be read.
    UnreadableFile = "unreadable-file",
    /// An expression uses a name that is not bound there.
    UnknownName = "unknown-name",
    /// An expression calls a function that there is not.
    UnknownFunction = "unknown-function",
    /// One name for two things.
    NameClash = "name-clash",
    /// Two things of one kind with one name.
    DuplicateName = "duplicate-name",
    /// No such step.
    UnknownStep = "unknown-step",
    /// No such target.
    UnknownTarget = "unknown-target",
    /// Several targets, and none is chosen.
    AmbiguousTarget = "ambiguous-target",
    /// An operation that the target's driver cannot carry out.
    WrongDriver = "wrong-driver",
    /// No such outcome.
    UnknownOutcome = "unknown-outcome",
    /// No such worker group.
    UnknownGroup = "unknown-group",
    /// No such param or axis.
    UnknownParam = "unknown-param",
    /// No such check.
    UnknownCheck = "unknown-check",
    /// No step waits at the barrier.
    UnusedBarrier = "unused-barrier",
    /// Only one worker waits at the barrier.
    LonelyBarrier = "lonely-barrier",
    /// Nothing uses the param.
    UnusedParam = "unused-param",
    /// No worker uses the step.
    UnusedStep = "unused-step",
    /// A statement begins or ends a transaction.
    TransactionControl = "transaction-control",
    /// `${…}` in SQL, where nobody evaluates it.
    TemplateInSql = "template-in-sql",
    /// The placeholders of a statement do not fit its arguments.
    ArgumentMismatch = "argument-mismatch",
    /// A statement succeeds also where it does nothing, and nobody looks.
    SilentSuccess = "silent-success",
    /// A transaction where there cannot be one.
    NoTransaction = "no-transaction",
    /// Not an SQL isolation level.
    BadIsolation = "bad-isolation",
    /// No worker races.
    NoWorkers = "no-workers",
    /// Nothing is checked.
    NothingChecked = "nothing-checked",
    /// The counts cannot add up to the number of workers.
    UnmeetableExpectation = "unmeetable-expectation",
    /// Growth is judged over something that does not grow.
    BadGrowth = "bad-growth",
    /// A case that no control breaks.
    NoControl = "no-control",
    /// A control that breaks nothing.
    ControlChangesNothing = "control-changes-nothing",
    /// An expression that cannot be evaluated.
    BadEvaluation = "bad-evaluation",
    /// A matrix without any case.
    NoCases = "no-cases",
    /// A matrix with more cells than are planned, or cases with more controls.
    TooManyCases = "too-many-cases",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a diagnostic stops the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// A part of the source with a remark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// The remark, may be empty.
    pub text: String,
    /// Whether the fault is here; other labels explain it.
    pub primary: bool,
}

/// Labels that are more lines apart than this are drawn as two parts of the file.
const EXCERPT_GAP_MAX: usize = 100;

/// Lines of a file, from 0, with labels in them.
struct Excerpt<'a> {
    first: usize,
    last: usize,
    /// With their remarks as they are shown.
    labels: Vec<(&'a Label, String)>,
}

impl Excerpt<'_> {
    /// Its bytes of the file, without the last line's end.
    fn span(&self, source: &SourceFile) -> Span {
        let end = source.line_starts.get(self.last + 1).map_or(source.text.len(), |next| next - 1);
        source.line_starts[self.first]..end
    }
}

/// One fault or warning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of fault.
    pub code: Code,
    /// Whether it stops the run.
    pub severity: Severity,
    /// What is wrong: found and wanted.
    pub message: String,
    /// Where. Empty when it is not in the file but on the command line.
    pub labels: Vec<Label>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Diagnostic { code, severity: Severity::Error, message: message.into(), labels: Vec::new(), help: None }
    }

    /// A warning without a place.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    /// Adds the place of the fault.
    pub fn at(self, span: &Span, text: impl Into<String>) -> Self {
        self.label(span, text, true)
    }

    /// Adds a place that explains the fault.
    pub fn see(self, span: &Span, text: impl Into<String>) -> Self {
        self.label(span, text, false)
    }

    /// Says what to do.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    fn label(mut self, span: &Span, text: impl Into<String>, primary: bool) -> Self {
        self.labels.push(Label { span: span.clone(), text: text.into(), primary });
        self
    }

    /// Draws the diagnostic with the lines it points at, without a line end.
    pub fn render(&self, source: &SourceFile, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let name = hidden_in_lines(&source.name.to_string_lossy());
        let [message, help] = [Some(&self.message), self.help.as_ref()].map(|it| it.map(|text| hidden_in_lines(text)));
        let title = level.primary_title(message.as_deref().unwrap_or_default()).id(self.code.as_str());
        let mut group = annotate_snippets::Group::with_title(title);
        let excerpts = self.excerpts(source);
        let texts: Vec<String> = excerpts.iter().map(|it| hidden_in_place(&source.text[it.span(source)])).collect();
        for (excerpt, text) in excerpts.iter().zip(&texts) {
            let start = excerpt.span(source).start;
            let annotations = excerpt.labels.iter().map(|(label, remark)| {
                let kind = if label.primary { AnnotationKind::Primary } else { AnnotationKind::Context };
                let span = source.clamped(&label.span);
                let annotation = kind.span(span.start - start..span.end - start);
                if remark.is_empty() { annotation } else { annotation.label(remark.as_str()) }
            });
            let snippet = Snippet::source(text.as_str()).line_start(excerpt.first + 1).path(name.as_str());
            group = group.element(snippet.annotations(annotations));
        }
        if let Some(help) = &help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    /// The parts of the file that the labels are in; the one with the fault comes first. Of a long file, only these are drawn.
    fn excerpts(&self, source: &SourceFile) -> Vec<Excerpt<'_>> {
        let mut labels: Vec<&Label> = self.labels.iter().collect();
        labels.sort_by_key(|label| label.span.start);
        let mut excerpts: Vec<Excerpt<'_>> = Vec::new();
        for label in labels {
            let span = source.clamped(&label.span);
            let (first, last) = (source.line(span.start), source.line(span.end));
            let remark = hidden_in_lines(&label.text);
            match excerpts.last_mut() {
                Some(before) if first <= before.last + EXCERPT_GAP_MAX => {
                    before.last = before.last.max(last);
                    before.labels.push((label, remark));
                }
                _ => excerpts.push(Excerpt { first, last, labels: vec![(label, remark)] }),
            }
        }
        excerpts.sort_by_key(|excerpt| !excerpt.labels.iter().any(|(label, _)| label.primary));
        excerpts
    }

    /// The form for other programs.
    pub fn to_json(&self, source: &SourceFile) -> DiagnosticJson {
        let label = self.labels.iter().find(|label| label.primary).or(self.labels.first());
        let start = label.map(|label| source.position(label.span.start));
        let end = label.map(|label| source.position(label.span.end));
        DiagnosticJson {
            code: self.code.as_str(),
            severity: match self.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: hidden_in_lines(&self.message),
            file: hidden_in_lines(&source.name.to_string_lossy()),
            line: start.map(|(line, _)| line),
            column: start.map(|(_, column)| column),
            end: end.map(|(line, column)| PositionJson { line, column }),
            help: self.help.as_deref().map(hidden_in_lines),
        }
    }
}

/// A diagnostic for other programs: `check --format json` writes an array of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiagnosticJson {
    /// The kebab-case code.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: &'static str,
    /// What is wrong.
    pub message: String,
    /// The file, as the user named it.
    pub file: String,
    /// Line of the fault, from 1; null when it is not in the file.
    pub line: Option<usize>,
    /// Column of the fault in characters, from 1.
    pub column: Option<usize>,
    /// The position after the fault.
    pub end: Option<PositionJson>,
    /// What to do.
    pub help: Option<String>,
}

/// A position in a file, both numbers from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PositionJson {
    /// Line.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

/// Diagnostics in the order of their places, each only once: two uses of one step find the same fault in it.
pub fn sorted(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let start = |diagnostic: &Diagnostic| diagnostic.labels.first().map(|label| (label.span.start, label.span.end));
    diagnostics.sort_by_key(|diagnostic| (start(diagnostic), diagnostic.code));
    let mut seen = BTreeSet::new();
    diagnostics.retain(|diagnostic| seen.insert((start(diagnostic), diagnostic.code, diagnostic.message.clone())));
    diagnostics
}

/// Among more names than this none is suggested: the search would take longer than reading the file.
const SUGGESTED_AMONG_MAX: usize = 200;

/// Of more names than this only the first are listed.
const LISTED_MAX: usize = 20;

/// What to say about a name that is not among `known`: the nearest by edit distance, else the list.
pub fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    let searched = if known.len() > SUGGESTED_AMONG_MAX { &[] } else { known.as_slice() };
    let near = searched.iter().map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate)).min();
    match (near, known.as_slice()) {
        (_, []) => None,
        (Some((distance, nearest)), _) if distance * 3 <= name.chars().count().max(3) => {
            Some(format!("did you mean `{nearest}`?"))
        }
        (_, [only]) => Some(format!("there is only `{only}`")),
        (_, few) if few.len() <= LISTED_MAX => Some(format!("there are {}", ticked(known))),
        (_, many) => {
            let first: Vec<String> = many[..LISTED_MAX].iter().map(|name| format!("`{name}`")).collect();
            Some(format!("there are {} and {} more", first.join(", "), many.len() - LISTED_MAX))
        }
    }
}

/// `a`, `b` and `c`, in backticks.
pub fn ticked<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_kebab_case_and_unique() {
        let mut words: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(words.iter().all(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Code::ALL.len());
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = SourceFile::new("a.toml", "ä = 1\nöx = 2\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(source.text.find('x').unwrap()), (2, 2));
        assert_eq!(source.position(10_000), (3, 1));
    }

    #[test]
    fn a_near_name_is_suggested_and_otherwise_all_are_listed() {
        let known = ["writers", "guard"];
        assert_eq!(suggestion("writer", known).unwrap(), "did you mean `writers`?");
        assert_eq!(suggestion("backend", known).unwrap(), "there are `writers` and `guard`");
        assert_eq!(suggestion("x", []), None);
    }

    #[test]
    fn both_places_are_drawn() {
        let source = SourceFile::new("a.toml", "workers = 8\ncount = 6\n");
        let diagnostic = Diagnostic::error(Code::BadCount, "wrong").at(&(10..11), "8 here").see(&(20..21), "6 there");
        let text = diagnostic.render(&source, false);
        assert!(text.contains("error[bad-count]: wrong"), "{text}");
        assert!(text.contains("a.toml:1:11") && text.contains("8 here") && text.contains("6 there"), "{text}");
        let json = diagnostic.to_json(&source);
        assert_eq!((json.line, json.column, json.end), (Some(1), Some(11), Some(PositionJson { line: 1, column: 12 })));
    }

    #[test]
    fn places_far_apart_are_drawn_without_what_is_between() {
        let source = SourceFile::new("a.toml", format!("count = 6\n{}workers = 8\n", "between\n".repeat(1_000)));
        let workers = source.text().find('8').unwrap();
        let diagnostic =
            Diagnostic::error(Code::BadCount, "wrong").at(&(workers..workers + 1), "8 here").see(&(8..9), "6");
        let text = diagnostic.render(&source, false);
        let (fault, other) = (text.find("a.toml:1002:11"), text.find("a.toml:1:9"));
        assert!(fault.is_some() && fault < other, "{text}");
        assert!(text.contains("1002 | workers = 8") && text.contains("1 | count = 6"), "{text}");
        assert!(text.lines().count() < 20, "{text}");
    }
}
