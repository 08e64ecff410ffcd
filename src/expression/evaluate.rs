//! Evaluates a tree in a scope: CEL's rules, with a [`Budget`].

use std::rc::Rc;

use super::budget::{Budget, Stop};
use super::operand::{Entries, ITEM_BYTES, List, Map, Operand, whole};
use super::scope::Scope;
use super::tree::{Binary, Loop, LoopKind, Node, Tree};
use crate::value::Value;

pub(super) type Evaluated<T> = Result<T, Stop>;

/// One evaluation.
pub(super) struct Evaluation<'a> {
    tree: &'a Tree,
    scope: &'a Scope,
    /// The items that the loops around the current node are at.
    locals: Vec<Operand<'a>>,
    pub budget: Budget,
}

/// The value of `tree` in `scope`.
pub(super) fn evaluate(tree: &Tree, scope: &Scope) -> Evaluated<Value> {
    let budget = Budget::new(scope.deadline());
    let mut evaluation = Evaluation { tree, scope, locals: Vec::new(), budget };
    let operand = evaluation.node(&tree.root)?;
    operand.into_value(0, &mut evaluation.budget)
}

impl<'a> Evaluation<'a> {
    pub(super) fn node(&mut self, node: &'a Node) -> Evaluated<Operand<'a>> {
        self.budget.step()?;
        match node {
            Node::Literal(literal) => Ok(Operand::literal(literal)),
            Node::Name(name) => self.name(*name),
            Node::Local(local) => Ok(self.locals[*local].clone()),
            Node::Not(operand) => Ok(Operand::Bool(!self.truth(operand, "`!`")?)),
            Node::Negate(operand) => self.negate(operand),
            Node::Logic { any, terms } => self.logic(*any, terms),
            Node::Choice(parts) => {
                let [condition, yes, no] = parts.as_ref();
                if self.truth(condition, "`?`")? { self.node(yes) } else { self.node(no) }
            }
            Node::Binary(operator, operands) => self.binary(*operator, operands),
            Node::Index(operands) => self.index(operands),
            Node::Field { operand, field } => self.field(operand, field),
            Node::Has { operand, field } => self.has(operand, field),
            Node::List(items) => self.list(items),
            Node::Map(entries) => self.map(entries),
            Node::Call(function, arguments) => self.call(*function, arguments),
            Node::Matches(text, pattern) => {
                let text = self.node(text)?;
                self.matches(&text, pattern)
            }
            Node::Unknown(name) => Stop::failed(format!("there is no function `{name}`")),
            Node::Loop(of) => self.looped(of),
        }
    }

    fn name(&self, name: usize) -> Evaluated<Operand<'a>> {
        let name = &self.tree.names[name];
        match self.scope.get(name) {
            Some(value) => Operand::load(value),
            None => Err(Stop::Unbound(name.clone())),
        }
    }

    /// The truth value of a node that `what` needs one of.
    fn truth(&mut self, node: &'a Node, what: &str) -> Evaluated<bool> {
        match self.node(node)? {
            Operand::Bool(value) => Ok(value),
            other => Stop::failed(format!("{what} needs true or false, not {}", other.shown())),
        }
    }

    fn negate(&mut self, operand: &'a Node) -> Evaluated<Operand<'a>> {
        match self.node(operand)? {
            Operand::Int(value) => match value.checked_neg() {
                Some(value) => Ok(Operand::Int(value)),
                None => Stop::failed(format!("-({value}) is out of range")),
            },
            Operand::Float(value) => Ok(Operand::Float(-value)),
            other => Stop::failed(format!("{} cannot be negated", other.shown())),
        }
    }

    /// `&&` and `||`: one operand can decide, whatever became of the others.
    fn logic(&mut self, any: bool, terms: &'a [Node]) -> Evaluated<Operand<'a>> {
        let mut failed = None;
        for term in terms {
            match self.truth(term, if any { "`||`" } else { "`&&`" }) {
                Ok(value) if value == any => return Ok(Operand::Bool(any)),
                Ok(_) => {}
                Err(Stop::Failed(message)) => failed = Some(message),
                Err(stop) => return Err(stop),
            }
        }
        failed.map_or(Ok(Operand::Bool(!any)), Stop::failed)
    }

    fn binary(&mut self, operator: Binary, operands: &'a [Node; 2]) -> Evaluated<Operand<'a>> {
        let left = self.node(&operands[0])?;
        let right = self.node(&operands[1])?;
        match operator {
            Binary::Equal => Ok(Operand::Bool(left.equals(&right, &mut self.budget)?)),
            Binary::Unequal => Ok(Operand::Bool(!left.equals(&right, &mut self.budget)?)),
            Binary::Less | Binary::AtMost | Binary::Greater | Binary::AtLeast => self.compare(operator, &left, &right),
            Binary::In => self.contained(&left, &right),
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide | Binary::Remainder => {
                self.arithmetic(operator, &left, &right)
            }
        }
    }

    fn compare(&mut self, operator: Binary, left: &Operand<'a>, right: &Operand<'a>) -> Evaluated<Operand<'a>> {
        match left.order(right, &mut self.budget)? {
            Some(order) => Ok(Operand::Bool(match operator {
                Binary::Less => order.is_lt(),
                Binary::AtMost => order.is_le(),
                Binary::Greater => order.is_gt(),
                _ => order.is_ge(),
            })),
            None => Stop::failed(format!("{} and {} have no order", left.shown(), right.shown())),
        }
    }

    fn contained(&mut self, item: &Operand<'a>, container: &Operand<'a>) -> Evaluated<Operand<'a>> {
        let found = match container {
            Operand::List(list) => {
                // Looking at eight scalars takes about as long as one step.
                self.budget.steps(list.len() as u64 / 8)?;
                let mut found = false;
                for index in 0..list.len() {
                    if list.item(index)?.equals(item, &mut self.budget)? {
                        found = true;
                        break;
                    }
                }
                found
            }
            Operand::Map(map) => match item.key()? {
                Some(key) => map.get(&key)?.is_some(),
                None => false,
            },
            other => return Stop::failed(format!("`in` needs a list or a map, not {}", other.shown())),
        };
        Ok(Operand::Bool(found))
    }

    fn index(&mut self, operands: &'a [Node; 2]) -> Evaluated<Operand<'a>> {
        let container = self.node(&operands[0])?;
        let index = self.node(&operands[1])?;
        match &container {
            Operand::List(list) => {
                let position = match &index {
                    Operand::Int(position) => Some(i128::from(*position)),
                    Operand::UInt(position) => Some(i128::from(*position)),
                    Operand::Float(position) => whole(*position),
                    _ => None,
                };
                let Some(position) = position else {
                    return Stop::failed(format!("{} cannot be an index of a list", index.shown()));
                };
                match usize::try_from(position).ok().filter(|position| *position < list.len()) {
                    Some(position) => list.item(position),
                    None => Stop::failed(format!("{} has no item {position}", container.shown())),
                }
            }
            Operand::Map(map) => match index.key()?.map_or(Ok(None), |key| map.get(&key))? {
                Some(value) => Ok(value),
                None => Stop::failed(format!("{} has no key {}", container.shown(), index.shown())),
            },
            other => Stop::failed(format!("{} has no items", other.shown())),
        }
    }

    fn field(&mut self, operand: &'a Node, field: &'a str) -> Evaluated<Operand<'a>> {
        match self.member(operand, field)? {
            Ok(value) => Ok(value),
            Err(container) => Stop::failed(format!("{} has no field `{field}`", container.shown())),
        }
    }

    fn has(&mut self, operand: &'a Node, field: &'a str) -> Evaluated<Operand<'a>> {
        Ok(Operand::Bool(self.member(operand, field)?.is_ok()))
    }

    /// The field of a map, or the map that has no such field.
    fn member(&mut self, operand: &'a Node, field: &'a str) -> Evaluated<Result<Operand<'a>, Operand<'a>>> {
        let container = self.node(operand)?;
        match &container {
            Operand::Map(map) => {
                let value = map.get(&super::operand::Key::Text(field.into()))?;
                Ok(value.ok_or(container))
            }
            other => Stop::failed(format!("{} has no field `{field}`", other.shown())),
        }
    }

    fn list(&mut self, items: &'a [Node]) -> Evaluated<Operand<'a>> {
        self.budget.bytes(items.len() * ITEM_BYTES)?;
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            list.push(self.node(item)?);
        }
        Ok(Operand::List(List::Own(Rc::new(list))))
    }

    fn map(&mut self, nodes: &'a [(Node, Node)]) -> Evaluated<Operand<'a>> {
        self.budget.bytes(nodes.len() * ITEM_BYTES * 3)?;
        let mut entries = Entries::new();
        for (key, value) in nodes {
            let (key, value) = (self.node(key)?, self.node(value)?);
            let form = match &key {
                Operand::Float(_) => return Stop::failed(format!("{} cannot be a map's key", key.shown())),
                key => key.key()?,
            };
            let shown = key.shown();
            if let Some(form) = form
                && entries.insert(form, (key, value)).is_some()
            {
                return Stop::failed(format!("a map has the key {shown} twice"));
            }
        }
        Ok(Operand::Map(Map::Own(Rc::new(entries))))
    }

    fn looped(&mut self, of: &'a Loop) -> Evaluated<Operand<'a>> {
        let items = match self.node(&of.range)? {
            Operand::List(list) => list,
            Operand::Map(map) => {
                self.budget.bytes(map.len() * ITEM_BYTES)?;
                List::Own(Rc::new(map.keys()))
            }
            other => return Stop::failed(format!("{} has no items to go over", other.shown())),
        };
        match of.kind {
            LoopKind::All => self.quantified(false, &items, &of.body),
            LoopKind::Exists => self.quantified(true, &items, &of.body),
            LoopKind::ExistsOne => self.exists_one(&items, &of.body),
            LoopKind::Map => self.mapped(&items, of.condition.as_ref(), Some(&of.body)),
            LoopKind::Filter => self.mapped(&items, Some(&of.body), None),
        }
    }

    /// Evaluates with a loop's item bound.
    fn with<T>(&mut self, item: Operand<'a>, evaluate: impl FnOnce(&mut Self) -> Evaluated<T>) -> Evaluated<T> {
        self.locals.push(item);
        let result = evaluate(self);
        self.locals.pop();
        result
    }

    /// `exists` if `any`, else `all`: one item can decide, whatever became of the others.
    fn quantified(&mut self, any: bool, items: &List<'a>, body: &'a Node) -> Evaluated<Operand<'a>> {
        let mut failed = None;
        for index in 0..items.len() {
            let item = items.item(index)?;
            match self.with(item, |this| this.truth(body, if any { "`exists`" } else { "`all`" })) {
                Ok(value) if value == any => return Ok(Operand::Bool(any)),
                Ok(_) => {}
                Err(Stop::Failed(message)) => failed = Some(message),
                Err(stop) => return Err(stop),
            }
        }
        failed.map_or(Ok(Operand::Bool(!any)), Stop::failed)
    }

    fn exists_one(&mut self, items: &List<'a>, body: &'a Node) -> Evaluated<Operand<'a>> {
        let mut count = 0;
        for index in 0..items.len() {
            let item = items.item(index)?;
            count += u64::from(self.with(item, |this| this.truth(body, "`exists_one`"))?);
        }
        Ok(Operand::Bool(count == 1))
    }

    /// The items that fulfil `condition`, or what `body` makes of them.
    fn mapped(
        &mut self,
        items: &List<'a>,
        condition: Option<&'a Node>,
        body: Option<&'a Node>,
    ) -> Evaluated<Operand<'a>> {
        let mut list = Vec::new();
        for index in 0..items.len() {
            let item = items.item(index)?;
            let value = self.with(item.clone(), |this| {
                let is_wanted = match condition {
                    Some(condition) => this.truth(condition, "the condition")?,
                    None => true,
                };
                match body {
                    _ if !is_wanted => Ok(None),
                    Some(body) => this.node(body).map(Some),
                    None => Ok(Some(item)),
                }
            })?;
            if let Some(value) = value {
                self.budget.bytes(ITEM_BYTES)?;
                list.push(value);
            }
        }
        Ok(Operand::List(List::Own(Rc::new(list))))
    }
}
