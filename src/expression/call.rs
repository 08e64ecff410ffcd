//! Calls and macros in the text: which functions there are, and how each is written.

use super::parse::{Parsed, Parser, Part};
use super::token::{Fault, Kind};
use super::tree::{Function, Loop, LoopKind, Node};

/// How a function is called.
#[derive(Clone, Copy)]
struct Form {
    name: &'static str,
    function: Function,
    /// `f(x, …)`: the number of arguments.
    global: Option<usize>,
    /// `x.f(…)`: the number of arguments, without `x`.
    method: Option<usize>,
    written: &'static str,
}

const fn form(
    name: &'static str,
    function: Function,
    global: Option<usize>,
    method: Option<usize>,
    written: &'static str,
) -> Form {
    Form { name, function, global, method, written }
}

/// The functions with a fixed number of arguments.
const FORMS: [Form; 13] = [
    form("size", Function::Size, Some(1), Some(0), "size(x)"),
    form("contains", Function::Contains, None, Some(1), "text.contains(part)"),
    form("startsWith", Function::StartsWith, None, Some(1), "text.startsWith(part)"),
    form("endsWith", Function::EndsWith, None, Some(1), "text.endsWith(part)"),
    form("matches", Function::Matches, Some(2), Some(1), "text.matches(pattern)"),
    form("int", Function::Int, Some(1), None, "int(x)"),
    form("uint", Function::UInt, Some(1), None, "uint(x)"),
    form("double", Function::Double, Some(1), None, "double(x)"),
    form("string", Function::String, Some(1), None, "string(x)"),
    form("bytes", Function::Bytes, Some(1), None, "bytes(x)"),
    form("bool", Function::Bool, Some(1), None, "bool(x)"),
    form("type", Function::Type, Some(1), None, "type(x)"),
    form("dyn", Function::Dyn, Some(1), None, "dyn(x)"),
];

/// The functions over a list, or over their arguments.
const OVER_LISTS: [(&str, Function); 4] =
    [("sum", Function::Sum), ("min", Function::Min), ("max", Function::Max), ("distinct", Function::Distinct)];

/// The macros: their names, what they give, how they are written, and whether they also take three arguments.
const LOOPS: [(&str, LoopKind, &str, bool); 6] = [
    ("all", LoopKind::All, "list.all(item, condition)", false),
    ("exists", LoopKind::Exists, "list.exists(item, condition)", false),
    ("exists_one", LoopKind::ExistsOne, "list.exists_one(item, condition)", false),
    ("existsOne", LoopKind::ExistsOne, "list.existsOne(item, condition)", false),
    ("map", LoopKind::Map, "list.map(item, value)", true),
    ("filter", LoopKind::Filter, "list.filter(item, condition)", false),
];

impl<'a> Parser<'a> {
    /// A call `name(…)`; its bracket is open.
    pub(super) fn call(&mut self, name: &str, at: usize) -> Parsed {
        if name == "has" {
            return self.has(at);
        }
        let (arguments, height) = self.arguments()?;
        self.called(name, at, false, arguments, height)
    }

    /// A call `target.name(…)`; its bracket is open.
    pub(super) fn method(&mut self, target: Part, name: &str, at: usize) -> Parsed {
        if let Some((_, kind, written, takes_three)) = LOOPS.into_iter().find(|(known, ..)| *known == name) {
            return self.looped(target, at, kind, written, takes_three);
        }
        let (mut arguments, height) = self.arguments()?;
        arguments.insert(0, target.node);
        self.called(name, at, true, arguments, height.max(target.height))
    }

    fn arguments(&mut self) -> Parsed<(Vec<Node>, usize)> {
        self.items(")", "an operator, `,` or `)`", false)
    }

    fn called(&mut self, name: &str, at: usize, is_method: bool, mut arguments: Vec<Node>, height: usize) -> Parsed {
        if let Some((_, function)) = OVER_LISTS.into_iter().find(|(known, _)| *known == name) {
            return self.above(at, height, Node::Call(function, arguments));
        }
        let Some(form) = FORMS.into_iter().find(|form| form.name == name) else {
            let misplaced = name == "has" || LOOPS.iter().any(|(known, ..)| *known == name);
            if misplaced {
                let written = LOOPS.iter().find(|(known, ..)| *known == name).map_or("has(x.field)", |known| known.2);
                return Fault::new(at, format!("found another form of `{name}`, wanted `{written}`"));
            }
            if !self.unknown.iter().any(|known| **known == *name) {
                self.unknown.push(name.into());
            }
            return self.above(at, height, Node::Unknown(name.into()));
        };
        let wanted = if is_method { form.method.map(|count| count + 1) } else { form.global };
        if wanted != Some(arguments.len()) {
            let found = arguments.len() - usize::from(is_method);
            let found = match (wanted, is_method) {
                (Some(_), _) => format!("{found} argument{} of `{name}`", if found == 1 { "" } else { "s" }),
                (None, true) => format!("`{name}` behind a point"),
                (None, false) => format!("`{name}` without a text and a point before it"),
            };
            return Fault::new(at, format!("found {found}, wanted `{}`", form.written));
        }
        if form.function == Function::Matches
            && let Some(pattern) = self.pattern(at, &arguments[1])?
        {
            let text = arguments.swap_remove(0);
            return self.above(at, height, Node::Matches(Box::new(text), pattern));
        }
        self.above(at, height, Node::Call(form.function, arguments))
    }

    fn has(&mut self, at: usize) -> Parsed {
        let part = self.expression()?;
        self.want(")", "an operator or `)`")?;
        match part.node {
            Node::Field { operand, field } => Ok(Part { node: Node::Has { operand, field }, height: part.height }),
            _ => Fault::new(at, "found `has` of something else than a field, wanted `has(x.field)`"),
        }
    }

    fn looped(&mut self, range: Part, at: usize, kind: LoopKind, written: &'static str, takes_three: bool) -> Parsed {
        if self.peek() == &Kind::Symbol(")") {
            return self.fail(&format!("`{written}`"));
        }
        let variable = self.variable()?;
        self.locals.push(variable);
        let first = self.expression()?;
        let second = if takes_three && self.take(",") { Some(self.expression()?) } else { None };
        self.locals.pop();
        self.want(")", "an operator or `)`")?;
        let height = range.height.max(first.height).max(second.as_ref().map_or(0, |second| second.height));
        let (condition, body) = match second {
            Some(body) => (Some(first.node), body.node),
            None => (None, first.node),
        };
        self.above(at, height, Node::Loop(Box::new(Loop { kind, range: range.node, condition, body })))
    }
}
