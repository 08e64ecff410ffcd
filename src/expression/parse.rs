//! Text into a tree. The parser is bounded: neither long nor deep texts make it recurse further than [`DEPTH_MAX`].

use std::sync::Arc;

use super::pattern::Pattern;
use super::token::{Fault, Kind, Token, tokens};
use super::tree::{Binary, DEPTH_MAX, Literal, Node, Tree};

/// The longest expression, in bytes.
pub(super) const LENGTH_MAX: usize = 16 * 1024;

/// Words that CEL keeps for other languages.
const RESERVED: [&str; 18] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
    "in",
];

/// A part of the tree, and how many operations it is high.
pub(super) struct Part {
    pub node: Node,
    pub height: usize,
}

impl Part {
    fn leaf(node: Node) -> Self {
        Part { node, height: 0 }
    }
}

pub(super) type Parsed<T = Part> = Result<T, Box<Fault>>;

pub(super) struct Parser<'a> {
    pub source: &'a str,
    tokens: Vec<Token>,
    next: usize,
    /// How deep the parser is inside brackets and right operands.
    depth: usize,
    /// The names of the loops around the place where the parser is.
    pub locals: Vec<&'a str>,
    names: Vec<Arc<str>>,
    pub unknown: Vec<Arc<str>>,
}

/// The tree of `source`.
pub(super) fn parse(source: &str) -> Parsed<Tree> {
    if source.len() > LENGTH_MAX {
        let message = format!("found {} bytes, wanted at most {LENGTH_MAX}; `let` can name a part", source.len());
        return Fault::new(0, message);
    }
    let mut parser = Parser {
        source,
        tokens: tokens(source)?,
        next: 0,
        depth: 0,
        locals: Vec::new(),
        names: Vec::new(),
        unknown: Vec::new(),
    };
    let root = parser.expression()?.node;
    if parser.peek() != &Kind::End {
        return parser.fail("an operator or the end");
    }
    Ok(Tree { root, names: parser.names, unknown: parser.unknown })
}

/// An operator and how strongly it binds.
enum Infix {
    Logic { any: bool },
    Binary(Binary),
}

fn infix(symbol: &str) -> Option<(Infix, usize)> {
    Some(match symbol {
        "||" => (Infix::Logic { any: true }, 1),
        "&&" => (Infix::Logic { any: false }, 2),
        "==" => (Infix::Binary(Binary::Equal), 3),
        "!=" => (Infix::Binary(Binary::Unequal), 3),
        "<" => (Infix::Binary(Binary::Less), 3),
        "<=" => (Infix::Binary(Binary::AtMost), 3),
        ">" => (Infix::Binary(Binary::Greater), 3),
        ">=" => (Infix::Binary(Binary::AtLeast), 3),
        "in" => (Infix::Binary(Binary::In), 3),
        "+" => (Infix::Binary(Binary::Add), 4),
        "-" => (Infix::Binary(Binary::Subtract), 4),
        "*" => (Infix::Binary(Binary::Multiply), 5),
        "/" => (Infix::Binary(Binary::Divide), 5),
        "%" => (Infix::Binary(Binary::Remainder), 5),
        _ => return None,
    })
}

impl<'a> Parser<'a> {
    pub(super) fn peek(&self) -> &Kind {
        &self.tokens[self.next].kind
    }

    fn peek_second(&self) -> &Kind {
        &self.tokens[(self.next + 1).min(self.tokens.len() - 1)].kind
    }

    /// Where the next token begins.
    pub(super) fn at(&self) -> usize {
        self.tokens[self.next].start
    }

    /// The next token's text, which the parser steps over. It never steps over the end.
    fn advance(&mut self) -> &'a str {
        let Token { start, end, .. } = self.tokens[self.next];
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        &self.source[start..end]
    }

    /// Steps over `symbol` if it is next.
    pub(super) fn take(&mut self, symbol: &'static str) -> bool {
        let is_next = self.peek() == &Kind::Symbol(symbol);
        if is_next {
            self.advance();
        }
        is_next
    }

    /// Steps over `symbol`, which must be next; `wanted` says it in words.
    pub(super) fn want(&mut self, symbol: &'static str, wanted: &str) -> Parsed<()> {
        if self.take(symbol) { Ok(()) } else { self.fail(wanted) }
    }

    /// Something else is next than what is wanted.
    pub(super) fn fail<T>(&self, wanted: &str) -> Parsed<T> {
        let Token { kind, start, end } = &self.tokens[self.next];
        let found = match kind {
            Kind::End => "the end".to_owned(),
            _ => {
                let text: String = self.source[*start..*end].chars().take(40).collect();
                format!("`{}`", text.escape_debug())
            }
        };
        let hint = match (kind, &self.source[*start..*end]) {
            (Kind::Name, "and" | "AND") => " (`&&`)",
            (Kind::Name, "or" | "OR") => " (`||`)",
            (Kind::Name, "not" | "NOT") => " (`!`)",
            _ => "",
        };
        Fault::new(*start, format!("found {found}, wanted {wanted}{hint}"))
    }

    /// A node over parts of at most `height`, whose operator is at `at`.
    pub(super) fn above(&self, at: usize, height: usize, node: Node) -> Parsed {
        if height + 1 >= DEPTH_MAX { Self::too_deep(at) } else { Ok(Part { node, height: height + 1 }) }
    }

    fn too_deep<T>(at: usize) -> Parsed<T> {
        let message = format!(
            "found more than {DEPTH_MAX} operations inside one another, wanted at most {DEPTH_MAX}; `let` can name a \
             part, and `sum([…])` adds up many terms"
        );
        Fault::new(at, message)
    }

    /// One level deeper, which the caller leaves again.
    fn enter(&mut self) -> Parsed<()> {
        if self.depth >= DEPTH_MAX {
            return Self::too_deep(self.at());
        }
        self.depth += 1;
        Ok(())
    }

    /// A whole expression: within brackets, between commas, or everything.
    pub(super) fn expression(&mut self) -> Parsed {
        self.enter()?;
        let condition = self.operators(1)?;
        let parsed = if self.peek() == &Kind::Symbol("?") { self.choice(condition) } else { Ok(condition) };
        self.depth -= 1;
        parsed
    }

    fn choice(&mut self, condition: Part) -> Parsed {
        let at = self.at();
        self.advance();
        let yes = self.operators(1)?;
        self.want(":", "`:` and what holds otherwise")?;
        let no = self.expression()?;
        let height = condition.height.max(yes.height).max(no.height);
        self.above(at, height, Node::Choice(Box::new([condition.node, yes.node, no.node])))
    }

    /// Operands with operators between them that bind at least as strongly as `level`.
    fn operators(&mut self, level: usize) -> Parsed {
        let mut left = self.unary()?;
        loop {
            let at = self.at();
            let Kind::Symbol(symbol) = *self.peek() else { return Ok(left) };
            let Some((operator, binds)) = infix(symbol).filter(|(_, binds)| *binds >= level) else { return Ok(left) };
            self.advance();
            self.enter()?;
            let right = self.operators(binds + 1)?;
            self.depth -= 1;
            left = self.combine(at, operator, left, right)?;
        }
    }

    /// Two operands and the operator between them, which is at `at`.
    fn combine(&self, at: usize, operator: Infix, left: Part, right: Part) -> Parsed {
        let height = left.height.max(right.height);
        match (operator, left) {
            // One list, since a chain of `&&` has no natural end.
            (Infix::Logic { any }, Part { node: Node::Logic { any: same, mut terms }, height: reached })
                if any == same =>
            {
                terms.push(right.node);
                let height = reached.max(right.height + 1);
                if height >= DEPTH_MAX {
                    return Self::too_deep(at);
                }
                Ok(Part { node: Node::Logic { any, terms }, height })
            }
            (Infix::Logic { any }, left) => {
                self.above(at, height, Node::Logic { any, terms: vec![left.node, right.node] })
            }
            (Infix::Binary(operator), left) => {
                self.above(at, height, Node::Binary(operator, Box::new([left.node, right.node])))
            }
        }
    }

    fn unary(&mut self) -> Parsed {
        let at = self.at();
        let mut count = 0;
        if self.peek() == &Kind::Symbol("!") {
            while self.take("!") {
                count += 1;
            }
            let operand = self.member()?;
            return if count % 2 == 0 {
                Ok(operand)
            } else {
                self.above(at, operand.height, Node::Not(Box::new(operand.node)))
            };
        }
        while self.peek() == &Kind::Symbol("-") && !matches!(self.peek_second(), Kind::Int | Kind::Float) {
            self.advance();
            count += 1;
        }
        let operand = self.member()?;
        if count % 2 == 0 {
            return Ok(operand);
        }
        self.above(at, operand.height, Node::Negate(Box::new(operand.node)))
    }

    /// A value with what is selected or called of it.
    fn member(&mut self) -> Parsed {
        let mut part = self.primary()?;
        loop {
            let at = self.at();
            if self.take("[") {
                let index = self.expression()?;
                self.want("]", "an operator or `]`")?;
                let height = part.height.max(index.height);
                part = self.above(at, height, Node::Index(Box::new([part.node, index.node])))?;
            } else if self.take(".") {
                let at = self.at();
                if self.peek() != &Kind::Name {
                    return self.fail("the name of a field or function");
                }
                let name = self.advance();
                part = if self.take("(") {
                    self.method(part, name, at)?
                } else {
                    let node = Node::Field { operand: Box::new(part.node), field: name.into() };
                    self.above(at, part.height, node)?
                };
            } else {
                return Ok(part);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        match self.peek() {
            Kind::Symbol("(") => {
                self.advance();
                let part = self.expression()?;
                self.want(")", "an operator or `)`")?;
                Ok(part)
            }
            Kind::Symbol("[") => self.list(at),
            Kind::Symbol("{") => self.map(at),
            Kind::Name => self.name(at),
            _ => self.literal(at),
        }
    }

    fn literal(&mut self, at: usize) -> Parsed {
        let literal = match self.peek().clone() {
            Kind::Symbol("-") if matches!(self.peek_second(), Kind::Int | Kind::Float) => {
                self.advance();
                self.number(at, true)?
            }
            Kind::Int | Kind::UInt | Kind::Float => self.number(at, false)?,
            Kind::Symbol(word @ ("true" | "false")) => Literal::Bool(word == "true"),
            Kind::Symbol("null") => Literal::Null,
            Kind::Text(text) => Literal::Text(text),
            Kind::Bytes(bytes) => Literal::Bytes(bytes),
            Kind::Name | Kind::Symbol(_) | Kind::End => return self.fail("a value"),
        };
        self.advance();
        Ok(Part::leaf(Node::Literal(literal)))
    }

    /// The number that is next, which the caller steps over.
    fn number(&self, at: usize, negative: bool) -> Parsed<Literal> {
        let Token { kind, start, end } = &self.tokens[self.next];
        let text = &self.source[*start..*end];
        let digits = text.trim_end_matches(['u', 'U']);
        let (radix, digits) = digits.strip_prefix("0x").map_or((10, digits), |digits| (16, digits));
        let signed = if negative { format!("-{digits}") } else { digits.to_owned() };
        let literal = match kind {
            Kind::Int => i64::from_str_radix(&signed, radix).ok().map(Literal::Int),
            Kind::UInt => u64::from_str_radix(digits, radix).ok().map(Literal::UInt),
            _ => signed.parse().ok().filter(|number: &f64| number.is_finite()).map(Literal::Float),
        };
        match literal {
            Some(literal) => Ok(literal),
            None => Fault::new(at, "found a number that is too large, wanted one that fits into 64 bits"),
        }
    }

    fn name(&mut self, at: usize) -> Parsed {
        let name = self.advance();
        if RESERVED.contains(&name) {
            return Fault::new(at, format!("found `{name}`, a word that CEL reserves, wanted another name"));
        }
        if self.take("(") {
            return self.call(name, at);
        }
        if self.peek() == &Kind::Symbol("{") {
            return self.fail("an operator or the end (there are no message types)");
        }
        if let Some(local) = self.locals.iter().rposition(|local| *local == name) {
            return Ok(Part::leaf(Node::Local(local)));
        }
        let position = self.names.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        Ok(Part::leaf(Node::Name(position)))
    }

    fn list(&mut self, at: usize) -> Parsed {
        self.advance();
        let (items, height) = self.items("]", "an operator, `,` or `]`", true)?;
        self.above(at, height, Node::List(items))
    }

    /// Expressions up to `close`, with commas between them, and their height.
    pub(super) fn items(&mut self, close: &'static str, wanted: &str, may_trail: bool) -> Parsed<(Vec<Node>, usize)> {
        let (mut items, mut height) = (Vec::new(), 0);
        if self.take(close) {
            return Ok((items, height));
        }
        loop {
            let item = self.expression()?;
            height = height.max(item.height);
            items.push(item.node);
            if !self.take(",") {
                self.want(close, wanted)?;
                return Ok((items, height));
            }
            if may_trail && self.take(close) {
                return Ok((items, height));
            }
        }
    }

    fn map(&mut self, at: usize) -> Parsed {
        self.advance();
        let (mut entries, mut height) = (Vec::new(), 0);
        while !self.take("}") {
            let key = self.expression()?;
            self.want(":", "`:` and the key's value")?;
            let value = self.expression()?;
            height = height.max(key.height).max(value.height);
            entries.push((key.node, value.node));
            if !self.take(",") {
                self.want("}", "an operator, `,` or `}`")?;
                break;
            }
        }
        self.above(at, height, Node::Map(entries))
    }

    /// The variable of a macro such as `map`, if a name and a comma are next.
    pub(super) fn variable(&mut self) -> Parsed<&'a str> {
        let at = self.at();
        if self.peek() != &Kind::Name {
            return self.fail("a name for the items");
        }
        let name = self.advance();
        if RESERVED.contains(&name) {
            return Fault::new(at, format!("found `{name}`, a word that CEL reserves, wanted another name"));
        }
        self.want(",", "`,` and what is said of each item")?;
        Ok(name)
    }

    /// The text of a call's argument that is a literal, for patterns.
    pub(super) fn pattern(&self, at: usize, node: &Node) -> Parsed<Option<Pattern>> {
        let Node::Literal(Literal::Text(text)) = node else { return Ok(None) };
        match Pattern::new(text) {
            Ok(pattern) => Ok(Some(pattern)),
            Err(why) => Fault::new(at, format!("the pattern of `matches` {why}")),
        }
    }
}
