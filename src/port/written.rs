//! A request as it is written in a scenario, with the place of every part.

use crate::diagnostic::{Diagnostic, Span};
use crate::expression::Template;

use super::request::Request;
use super::table::Usage;

/// Something read from the file, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At<T> {
    /// What was read.
    pub value: T,
    /// Where.
    pub span: Span,
}

/// A name that an expression takes from its scope, with the place of the name.
pub type Use = At<String>;

/// A template with the names it uses.
#[derive(Debug, Clone)]
pub struct TemplateAt {
    /// The template.
    pub template: Template,
    /// The value as written.
    pub span: Span,
    /// The names it uses.
    pub uses: Vec<Use>,
}

/// A request as it is written.
pub struct Written<'a> {
    /// The request.
    pub request: &'a Request<TemplateAt>,
    /// Where it stands.
    pub usage: Usage,
    /// The key that asks for it.
    pub span: &'a Span,
    /// Whether every value of a list could be read, so that counting them tells something.
    pub complete: bool,
}

/// Where faults and warnings of a scenario are noted.
pub trait Notes {
    /// Notes one.
    fn push(&mut self, diagnostic: Diagnostic);

    /// Where the text begins that is written at `span`, if it stands there letter by letter.
    fn inner(&self, span: &Span, text: &str) -> Option<usize>;
}
