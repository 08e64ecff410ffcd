//! CEL expressions and `${…}` templates: compiled before the race, evaluated in a scope of names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::extractors::Arguments;
use cel::{Context, Env, ExecutionError, Program};

use crate::value::Value;

/// Names and their values, looked up from the innermost scope outwards.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    parent: Option<Arc<Scope>>,
    /// A list, since a scope has few names and is searched during the race; a name that was forgotten keeps its place,
    /// so that binding it anew allocates nothing.
    names: Vec<(Arc<str>, Option<Value>)>,
}

impl Scope {
    /// An empty scope inside `parent`.
    pub fn inside(parent: Arc<Scope>) -> Self {
        Scope { parent: Some(parent), names: Vec::new() }
    }

    /// Binds `name` in this scope, replacing an earlier binding in this scope.
    pub fn bind(&mut self, name: impl AsRef<str> + Into<Arc<str>>, value: Value) {
        match self.names.iter_mut().find(|(known, _)| **known == *name.as_ref()) {
            Some((_, bound)) => *bound = Some(value),
            None => self.names.push((name.into(), Some(value))),
        }
    }

    /// Forgets the names bound in this scope, not those of its parents.
    pub fn clear(&mut self) {
        self.names.iter_mut().for_each(|(_, bound)| *bound = None);
    }

    /// The value bound to `name` here or outside.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let own = self.names.iter().find(|(known, _)| **known == *name).and_then(|(_, bound)| bound.as_ref());
        own.or_else(|| self.parent.as_ref()?.get(name))
    }

    /// Every visible name, sorted.
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names = self.parent.as_ref().map(|parent| parent.names()).unwrap_or_default();
        names.extend(self.names.iter().filter(|(_, bound)| bound.is_some()).map(|(name, _)| name.as_ref()));
        names
    }
}

impl<K: AsRef<str> + Into<Arc<str>>> FromIterator<(K, Value)> for Scope {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        let mut scope = Scope::default();
        entries.into_iter().for_each(|(name, value)| scope.bind(name, value));
        scope
    }
}

/// The text is not a CEL expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}` is not an expression: {message}")]
pub struct CompileError {
    /// The expression as written.
    pub expression: String,
    /// What the parser says.
    pub message: String,
    /// Where in the expression, as a byte offset, if known.
    pub offset: Option<usize>,
}

/// An expression could not be evaluated, or not to the type that its place wants. A fault of the scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{expression}` {message}")]
pub struct EvaluateError {
    /// The expression as written.
    pub expression: String,
    /// What went wrong, as the end of a sentence that begins with the expression.
    pub message: String,
}

/// A compiled CEL expression.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    program: Arc<Program>,
    variables: BTreeSet<String>,
    /// Set when the expression is a name and nothing else.
    bare_name: Option<Arc<str>>,
}

/// What every evaluation begins with: the standard library and our functions, and nothing that could look outside.
static LIBRARY: LazyLock<Context<'static, 'static>> = LazyLock::new(|| {
    let mut context = Context::with_env(Arc::new(Env::stdlib()));
    add_functions(&mut context);
    context
});

impl Expression {
    /// Compiles `source`.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        let program = Program::compile(source).map_err(|errors| {
            let first = errors.errors.first();
            CompileError {
                expression: source.to_owned(),
                message: first.map_or_else(|| errors.to_string(), |error| plain_message(&error.msg)),
                offset: first.and_then(|error| offset_of(source, error.pos)),
            }
        })?;
        let mut variables = BTreeSet::new();
        free_variables(program.expression(), &mut Vec::new(), &mut variables);
        let bare_name = match &program.expression().expr {
            Expr::Ident(name) => Some(name.as_str().into()),
            _ => None,
        };
        Ok(Expression { source: source.into(), program: Arc::new(program), variables, bare_name })
    }

    /// The expression as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that the expression takes from its scope.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// The names of the functions it calls, operators excluded.
    pub fn functions(&self) -> BTreeSet<String> {
        let references = self.program.references();
        references
            .functions()
            .into_iter()
            .filter(|name| name.starts_with(|first: char| first.is_ascii_alphabetic()))
            .map(str::to_owned)
            .collect()
    }

    /// The functions that expressions can call: CEL's own, and `sum`, `min`, `max`, `distinct`.
    pub const FUNCTIONS: [&str; 17] = [
        "size",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "bool",
        "type",
        "dyn",
        "sum",
        "min",
        "max",
        "distinct",
    ];

    /// The names of the functions it calls and that there are not.
    pub fn unknown_functions(&self) -> BTreeSet<String> {
        self.functions().into_iter().filter(|name| !Self::FUNCTIONS.contains(&name.as_str())).collect()
    }

    /// The value of the expression in `scope`. A bare name gives the bound value as it is.
    pub fn evaluate(&self, scope: &Scope) -> Result<Value, EvaluateError> {
        if let Some(value) = self.bare_name.as_ref().and_then(|name| scope.get(name)) {
            return Ok(value.clone());
        }
        let mut context = LIBRARY.new_inner_scope();
        for name in &self.variables {
            let value =
                scope.get(name).ok_or_else(|| self.error(format!("names `{name}`, which is not bound here")))?;
            context.add_variable_from_value(name.as_str(), to_cel(value));
        }
        let result = self.program.execute(&context).map_err(|error| self.error(format!("failed: {error}")))?;
        from_cel(&result).map_err(|message| self.error(message))
    }

    /// The truth value of the expression; any other type is an error.
    pub fn evaluate_bool(&self, scope: &Scope) -> Result<bool, EvaluateError> {
        match self.evaluate(scope)? {
            Value::Bool(value) => Ok(value),
            other => Err(self.error(format!("is {} `{other}`, but must be true or false", other.type_name()))),
        }
    }

    /// The whole number the expression gives; any other type, or a negative number, is an error.
    pub fn evaluate_count(&self, scope: &Scope) -> Result<u64, EvaluateError> {
        match self.evaluate(scope)? {
            Value::Int(value) => {
                u64::try_from(value).map_err(|_| self.error(format!("is {value}, but a count cannot be negative")))
            }
            other => Err(self.error(format!("is {} `{other}`, but must be a whole number", other.type_name()))),
        }
    }

    fn error(&self, message: String) -> EvaluateError {
        EvaluateError { expression: self.source.to_string(), message }
    }
}

/// A TOML value with `${…}` inside: evaluates to a value.
#[derive(Debug, Clone)]
pub enum Template {
    /// A value without any expression.
    Literal(Value),
    /// `"${expression}"` alone, which keeps its type.
    Expression(Expression),
    /// Text with expressions inside it.
    Text(Vec<Part>),
    /// A list of templates.
    List(Vec<Template>),
    /// A table of templates.
    Map(BTreeMap<String, Template>),
}

/// A piece of a text template.
#[derive(Debug, Clone)]
pub enum Part {
    /// Text as it stands.
    Literal(String),
    /// `${expression}`, formatted.
    Expression(Expression),
}

impl Template {
    /// Parses text that may hold `${expression}`; `$${` is a literal `${`.
    pub fn parse(text: &str) -> Result<Self, CompileError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = &after[2..];
                continue;
            }
            literal.push_str(before);
            let consumed = text.len() - after.len();
            let length = expression_length(&after[2..]).ok_or_else(|| CompileError {
                expression: text.to_owned(),
                message: "`${` is never closed by `}`; write `$${` for a literal `${`".to_owned(),
                offset: Some(consumed),
            })?;
            let expression = Expression::compile(&after[2..2 + length])
                .map_err(|error| CompileError { offset: error.offset.map(|offset| offset + consumed + 2), ..error })?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::Expression(expression));
            rest = &after[2 + length + 1..];
        }
        literal.push_str(rest);
        Ok(match (parts.pop(), literal.is_empty()) {
            (None, _) => Template::Literal(Value::text(literal)),
            (Some(Part::Expression(expression)), true) if parts.is_empty() => Template::Expression(expression),
            (Some(last), true) => {
                parts.push(last);
                Template::Text(parts)
            }
            (Some(last), false) => {
                parts.extend([last, Part::Literal(literal)]);
                Template::Text(parts)
            }
        })
    }

    /// The value in `scope`.
    pub fn resolve(&self, scope: &Scope) -> Result<Value, EvaluateError> {
        Ok(match self {
            Template::Literal(value) => value.clone(),
            Template::Expression(expression) => expression.evaluate(scope)?,
            Template::Text(parts) => {
                let mut text = String::new();
                for part in parts {
                    match part {
                        Part::Literal(literal) => text.push_str(literal),
                        Part::Expression(expression) => text.push_str(&expression.evaluate(scope)?.to_string()),
                    }
                }
                Value::text(text)
            }
            Template::List(items) => {
                Value::List(items.iter().map(|item| item.resolve(scope)).collect::<Result<_, _>>()?)
            }
            Template::Map(entries) => Value::Map(Arc::new(
                entries.iter().map(|(key, template)| Ok((key.clone(), template.resolve(scope)?))).collect::<Result<
                    _,
                    EvaluateError,
                >>(
                )?,
            )),
        })
    }

    /// Calls `visit` with every expression inside.
    pub fn visit_expressions<'a>(&'a self, visit: &mut dyn FnMut(&'a Expression)) {
        match self {
            Template::Literal(_) => {}
            Template::Expression(expression) => visit(expression),
            Template::Text(parts) => {
                for part in parts {
                    if let Part::Expression(expression) = part {
                        visit(expression);
                    }
                }
            }
            Template::List(items) => items.iter().for_each(|item| item.visit_expressions(visit)),
            Template::Map(entries) => entries.values().for_each(|item| item.visit_expressions(visit)),
        }
    }
}

/// The length of the expression before its closing `}`: braces nest, and braces in CEL strings do not count.
fn expression_length(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut quote = None;
    let mut escaped = false;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '{') => depth += 1,
            (None, '}') if depth == 0 => return Some(index),
            (None, '}') => depth -= 1,
            (None, _) => {}
        }
    }
    None
}

/// The parser's message without its lists of tokens: `unexpected '=='`.
fn plain_message(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split(" expecting ").next().unwrap_or(message);
    let message = message.replace("mismatched input", "unexpected").replace("extraneous input", "unexpected");
    message.replace("'<EOF>'", "end")
}

/// The byte offset of a parser position: lines from 1, columns from 0 (in characters).
fn offset_of(source: &str, (line, column): (isize, isize)) -> Option<usize> {
    let line_index = usize::try_from(line).ok()?.checked_sub(1)?;
    let line_start: usize = source.split_inclusive('\n').take(line_index).map(str::len).sum();
    let characters = source.get(line_start..)?.char_indices();
    let column = usize::try_from(column).ok()?;
    Some(characters.map(|(at, _)| line_start + at).nth(column).unwrap_or(source.len()))
}

/// Collects the names an expression takes from outside, without the loop variables of its macros.
fn free_variables<'a>(node: &'a IdedExpr, bound: &mut Vec<&'a str>, free: &mut BTreeSet<String>) {
    match &node.expr {
        Expr::Unspecified | Expr::Literal(_) => {}
        Expr::Ident(name) => {
            if !name.starts_with('@') && !bound.contains(&name.as_str()) {
                free.insert(name.clone());
            }
        }
        Expr::Call(call) => {
            call.target.iter().for_each(|target| free_variables(target, bound, free));
            call.args.iter().for_each(|argument| free_variables(argument, bound, free));
        }
        Expr::Select(select) => free_variables(&select.operand, bound, free),
        Expr::List(list) => list.elements.iter().for_each(|element| free_variables(element, bound, free)),
        Expr::Map(map) => map.entries.iter().for_each(|entry| free_in_entry(&entry.expr, bound, free)),
        Expr::Struct(literal) => literal.entries.iter().for_each(|entry| free_in_entry(&entry.expr, bound, free)),
        Expr::Comprehension(comprehension) => {
            free_variables(&comprehension.iter_range, bound, free);
            free_variables(&comprehension.accu_init, bound, free);
            let outer = bound.len();
            bound.push(&comprehension.iter_var);
            bound.extend(comprehension.iter_var2.as_deref());
            bound.push(&comprehension.accu_var);
            free_variables(&comprehension.loop_cond, bound, free);
            free_variables(&comprehension.loop_step, bound, free);
            free_variables(&comprehension.result, bound, free);
            bound.truncate(outer);
        }
    }
}

fn free_in_entry<'a>(entry: &'a EntryExpr, bound: &mut Vec<&'a str>, free: &mut BTreeSet<String>) {
    match entry {
        EntryExpr::StructField(field) => free_variables(&field.value, bound, free),
        EntryExpr::MapEntry(entry) => {
            free_variables(&entry.key, bound, free);
            free_variables(&entry.value, bound, free);
        }
    }
}

/// The functions that scenarios have beside CEL's own (`matches` is CEL's).
fn add_functions(context: &mut Context) {
    let added = [
        context.add_function("sum", |Arguments(items): Arguments| sum(&items_of(&items))),
        context.add_function("min", cel::functions::min),
        context.add_function("max", cel::functions::max),
        context.add_function("distinct", |Arguments(items): Arguments| Ok(distinct(&items_of(&items)))),
    ];
    debug_assert!(added.iter().all(Result::is_ok), "the names are free in the standard library");
}

fn items_of(arguments: &[cel::Value]) -> Vec<cel::Value> {
    match arguments {
        [cel::Value::List(items)] => items.to_vec(),
        _ => arguments.to_vec(),
    }
}

fn sum(items: &[cel::Value]) -> Result<cel::Value, ExecutionError> {
    let mut whole = 0i64;
    let mut fraction = None;
    for item in items {
        match item {
            cel::Value::Int(number) => {
                whole = whole
                    .checked_add(*number)
                    .ok_or_else(|| ExecutionError::function_error("sum", "the sum is out of range"))?;
            }
            cel::Value::Float(number) => *fraction.get_or_insert(0.0) += number,
            other => {
                let message = format!("{} cannot be added up", other.type_of());
                return Err(ExecutionError::function_error("sum", message));
            }
        }
    }
    Ok(fraction.map_or(cel::Value::Int(whole), |fraction| cel::Value::Float(fraction + whole as f64)))
}

fn distinct(items: &[cel::Value]) -> cel::Value {
    let mut kept: Vec<cel::Value> = Vec::new();
    for item in items {
        if !kept.contains(item) {
            kept.push(item.clone());
        }
    }
    cel::Value::List(Arc::new(kept))
}

fn to_cel(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(value) => cel::Value::Bool(*value),
        Value::Int(value) => cel::Value::Int(*value),
        Value::Float(value) => cel::Value::Float(*value),
        Value::Decimal(text) => cel::Value::Float(text.parse().unwrap_or(f64::NAN)),
        Value::Text(text) => cel::Value::String(Arc::new(text.to_string())),
        Value::List(items) => cel::Value::List(Arc::new(items.iter().map(to_cel).collect())),
        Value::Map(entries) => {
            let entries: HashMap<cel::objects::Key, cel::Value> =
                entries.iter().map(|(key, value)| (key.as_str().into(), to_cel(value))).collect();
            cel::Value::Map(cel::objects::Map { map: Arc::new(entries) })
        }
    }
}

fn from_cel(value: &cel::Value) -> Result<Value, String> {
    Ok(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(value) => Value::Bool(*value),
        cel::Value::Int(value) => Value::Int(*value),
        cel::Value::UInt(value) => {
            Value::Int(i64::try_from(*value).map_err(|_| format!("is {value}, which is out of range"))?)
        }
        cel::Value::Float(value) => Value::Float(*value),
        cel::Value::String(text) => Value::text(text.as_str()),
        cel::Value::List(items) => Value::List(items.iter().map(from_cel).collect::<Result<_, _>>()?),
        cel::Value::Map(map) => {
            let mut entries = BTreeMap::new();
            for (key, value) in map.map.iter() {
                let key = match key {
                    cel::objects::Key::String(text) => text.to_string(),
                    cel::objects::Key::Int(number) => number.to_string(),
                    cel::objects::Key::Uint(number) => number.to_string(),
                    cel::objects::Key::Bool(value) => value.to_string(),
                };
                entries.insert(key, from_cel(value)?);
            }
            Value::Map(Arc::new(entries))
        }
        other => return Err(format!("is a {}, which is no value for a scenario", other.type_of())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        [
            ("writers", Value::Int(50)),
            ("balance", Value::Int(100)),
            ("rows", Value::list([Value::list([Value::Int(3)]), Value::list([Value::Int(4)])])),
            ("price", Value::Decimal("0.10".into())),
        ]
        .into_iter()
        .collect()
    }

    #[test]
    fn an_expression_alone_keeps_its_type_and_inside_text_is_formatted() {
        let resolve = |text: &str| Template::parse(text).unwrap().resolve(&scope()).unwrap();
        assert_eq!(resolve("${balance - 10}"), Value::Int(90));
        assert_eq!(resolve("order-${writers}!"), Value::text("order-50!"));
        assert_eq!(resolve("$${writers}"), Value::text("${writers}"));
        assert_eq!(resolve("${price}"), Value::Decimal("0.10".into()));
        assert_eq!(resolve("${{'a': 1}.a}${'}'}"), Value::text("1}"));
        assert_eq!(resolve("${rows.map(r, r[0])}"), Value::list([Value::Int(3), Value::Int(4)]));
    }

    #[test]
    fn loop_variables_are_not_free() {
        let expression = Expression::compile("rows.map(r, r[0] + writers)").unwrap();
        assert_eq!(expression.variables().iter().collect::<Vec<_>>(), ["rows", "writers"]);
    }

    #[test]
    fn the_added_functions_compute() {
        let value = |text: &str| Expression::compile(text).unwrap().evaluate(&scope()).unwrap();
        assert_eq!(value("sum(rows.map(r, r[0]))"), Value::Int(7));
        assert_eq!(value("sum([1, 0.5])"), Value::Float(1.5));
        assert_eq!(value("max([1, 3, 2]) + min(4, 5)"), Value::Int(7));
        assert_eq!(value("size(distinct([1, 1, 2]))"), Value::Int(2));
        assert_eq!(value("'order-7'.matches('^order-[0-9]+$')"), Value::Bool(true));
        assert_eq!(value("size(rows)"), Value::Int(2));
    }

    #[test]
    fn faults_name_the_expression_and_what_was_wanted() {
        let error = Expression::compile("writers").unwrap().evaluate_bool(&scope()).unwrap_err();
        assert_eq!(error.to_string(), "`writers` is int `50`, but must be true or false");
        let error = Expression::compile("1 - 2").unwrap().evaluate_count(&scope()).unwrap_err();
        assert_eq!(error.to_string(), "`1 - 2` is -1, but a count cannot be negative");
        assert!(Expression::compile("1 +").is_err());
        let error = Template::parse("a ${b").unwrap_err();
        assert_eq!(error.offset, Some(2));
    }
}
