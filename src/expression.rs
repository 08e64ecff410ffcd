//! CEL expressions and `${…}` templates: compiled before the race, evaluated in a scope of names.

mod convert;
mod functions;
mod template;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::{Context, Env, ExecutionError, Program};

use self::convert::{TooLong, from_cel, to_cel};
pub use self::template::{Part, Template};
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
    functions::add_functions(&mut context);
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
            let value = to_cel(value).map_err(|TooLong(decimal)| {
                self.error(format!(
                    "uses `{name}` with the decimal {decimal}, which a double would not hold exactly; compare it in SQL, or \
                     select it as text with `::text`"
                ))
            })?;
            context.add_variable_from_value(name.as_str(), value);
        }
        let result = self.program.execute(&context).map_err(|error| self.error(failed(&error)))?;
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

/// What the evaluator says, and what to write instead where we know.
fn failed(error: &ExecutionError) -> String {
    let is_number =
        |value: &cel::Value| matches!(value, cel::Value::Int(_) | cel::Value::UInt(_) | cel::Value::Float(_));
    match error {
        ExecutionError::UnsupportedBinaryOperator(_, left, right) if is_number(left) && is_number(right) => {
            format!("failed: {error}; whole numbers and floats do not mix: write `double(x)`, or `1.0` for `1`")
        }
        _ => format!("failed: {error}"),
    }
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
    fn decimals_are_floats_unless_a_float_would_not_tell_them_apart() {
        let evaluate = |text: &str, price: &str| {
            let scope: Scope = [("price", Value::Decimal(price.into()))].into_iter().collect();
            Expression::compile(text).unwrap().evaluate(&scope).map_err(|error| error.to_string())
        };
        assert_eq!(evaluate("price - 0.5 == 79.5", "80.00"), Ok(Value::Bool(true)));
        assert_eq!(evaluate("price == 80", "80.00"), Ok(Value::Bool(true)));
        assert_eq!(evaluate("price > 79 && price < 81", "80.00"), Ok(Value::Bool(true)));
        assert_eq!(evaluate("price == 0.00001", "0.0000100000000000000000"), Ok(Value::Bool(true)));
        let error = evaluate("price + 1 > 0", "99.50").unwrap_err();
        assert!(error.ends_with("do not mix: write `double(x)`, or `1.0` for `1`"), "{error}");
        let error = evaluate("price == price", "123456789012345678.01").unwrap_err();
        assert!(error.contains("uses `price` with the decimal 123456789012345678.01, which a double"), "{error}");
        assert_eq!(Value::Decimal("123456789012345678.01".into()).to_json(), "123456789012345678.01");
        assert_eq!(Value::Decimal("80.00".into()).to_json(), 80.0);
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
