//! An expression as the evaluator walks it: operators, calls and loops, at most [`DEPTH_MAX`] deep.

use std::sync::Arc;

use super::pattern::Pattern;

/// How deep expressions and the values that they give may nest. The evaluator recurses that deep.
pub(super) const DEPTH_MAX: usize = 200;

/// One operation with its operands.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    /// A name of the scope, by its place in [`Tree::names`].
    Name(usize),
    /// The name that a loop binds; loops are numbered from the outside.
    Local(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// `||` if `any`, else `&&`.
    Logic {
        any: bool,
        terms: Vec<Node>,
    },
    /// `condition ? yes : no`.
    Choice(Box<[Node; 3]>),
    Binary(Binary, Box<[Node; 2]>),
    Index(Box<[Node; 2]>),
    Field {
        operand: Box<Node>,
        field: Arc<str>,
    },
    /// `has(operand.field)`.
    Has {
        operand: Box<Node>,
        field: Arc<str>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Call(Function, Vec<Node>),
    /// `matches` with a pattern that is known.
    Matches(Box<Node>, Pattern),
    /// A call of what deadheat does not have.
    Unknown(Arc<str>),
    Loop(Box<Loop>),
}

/// A value that stands in the text.
#[derive(Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Matches,
    Int,
    UInt,
    Double,
    String,
    Bytes,
    Bool,
    Type,
    Dyn,
    Sum,
    Min,
    Max,
    Distinct,
}

/// What a loop over a list, or over a map's keys, gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoopKind {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
}

/// A macro such as `rows.map(row, row[0])`.
#[derive(Debug)]
pub(super) struct Loop {
    pub kind: LoopKind,
    pub range: Node,
    /// The condition of a `map` with three arguments.
    pub condition: Option<Node>,
    pub body: Node,
}

/// A whole expression.
#[derive(Debug)]
pub(super) struct Tree {
    pub root: Node,
    /// The names that it takes from its scope.
    pub names: Vec<Arc<str>>,
    /// What it calls that there is not.
    pub unknown: Vec<Arc<str>>,
}
