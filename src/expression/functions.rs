//! Arithmetic, and what expressions can call.

use std::cmp::Ordering;
use std::rc::Rc;

use super::budget::Stop;
use super::evaluate::{Evaluated, Evaluation};
use super::operand::{ITEM_BYTES, List, Operand, Text};
use super::pattern::Pattern;
use super::tree::{Binary, Function, Node};

impl<'a> Evaluation<'a> {
    /// `+`, `-`, `*`, `/` and `%`.
    pub(super) fn arithmetic(
        &mut self,
        operator: Binary,
        left: &Operand<'a>,
        right: &Operand<'a>,
    ) -> Evaluated<Operand<'a>> {
        let result = match (left, right) {
            (Operand::Int(left), Operand::Int(right)) => whole_numbers(operator, *left, *right).map(Operand::Int),
            (Operand::UInt(left), Operand::UInt(right)) => unsigned(operator, *left, *right).map(Operand::UInt),
            (Operand::Float(left), Operand::Float(right)) => floats(operator, *left, *right).map(Operand::Float),
            (left, right) if operator == Binary::Add => return self.joined(left, right),
            _ => return Stop::failed(mismatch(operator, left, right)),
        };
        match result {
            Some(result) => Ok(result),
            None => Stop::failed(out_of_range(operator, left, right)),
        }
    }

    /// `+` of what is not a number.
    fn joined(&mut self, left: &Operand<'a>, right: &Operand<'a>) -> Evaluated<Operand<'a>> {
        match (left, right) {
            (Operand::Text(left), Operand::Text(right)) => {
                self.budget.bytes(left.len() + right.len())?;
                self.budget.read(left.len() + right.len())?;
                let mut text = String::with_capacity(left.len() + right.len());
                text.push_str(left);
                text.push_str(right);
                Ok(Operand::Text(Text::Own(text.into())))
            }
            (Operand::Bytes(left), Operand::Bytes(right)) => {
                self.budget.bytes(left.len() + right.len())?;
                Ok(Operand::Bytes([left.as_ref(), right.as_ref()].concat().into()))
            }
            (Operand::List(left), Operand::List(right)) => {
                let length = left.len() + right.len();
                self.budget.bytes(length * ITEM_BYTES)?;
                self.budget.steps(length as u64)?;
                let items = (0..left.len()).map(|index| left.item(index));
                let items = items.chain((0..right.len()).map(|index| right.item(index)));
                Ok(Operand::List(List::Own(Rc::new(items.collect::<Result<_, _>>()?))))
            }
            // CEL's list takes whatever has items: of a map, its keys.
            (Operand::List(_), Operand::Map(keys)) => {
                self.budget.bytes(keys.len() * ITEM_BYTES)?;
                self.joined(left, &Operand::List(List::Own(Rc::new(keys.keys()))))
            }
            _ => Stop::failed(mismatch(Binary::Add, left, right)),
        }
    }

    pub(super) fn call(&mut self, function: Function, nodes: &'a [Node]) -> Evaluated<Operand<'a>> {
        let mut arguments = Vec::with_capacity(nodes.len());
        for node in nodes {
            arguments.push(self.node(node)?);
        }
        match (function, arguments.as_slice()) {
            (Function::Sum | Function::Min | Function::Max | Function::Distinct, _) => {
                let items = match arguments.as_slice() {
                    [Operand::List(items)] => items.clone(),
                    _ => List::Own(Rc::new(arguments)),
                };
                self.over(function, &items)
            }
            (Function::Dyn, [value]) => Ok(value.clone()),
            (Function::Type, [value]) => Ok(Operand::Type(value.type_name())),
            (Function::Size, [value]) => self.size(value),
            (_, [value]) => self.converted(function, value),
            (Function::Matches, [text, Operand::Text(pattern)]) => {
                let compiled = Pattern::new(pattern).map_err(|why| {
                    Stop::Failed(format!("the pattern {} of `matches` {why}", Operand::Text(pattern.clone()).shown()))
                })?;
                self.budget.steps(compiled.compiling())?;
                self.matches(text, &compiled)
            }
            (_, [Operand::Text(text), Operand::Text(part)]) => {
                self.budget.read(text.len())?;
                Ok(Operand::Bool(match function {
                    Function::Contains => text.contains(&**part),
                    Function::StartsWith => text.starts_with(&**part),
                    _ => text.ends_with(&**part),
                }))
            }
            _ => {
                let shown: Vec<String> = arguments.iter().map(Operand::shown).collect();
                Stop::failed(format!("a function over texts cannot take {}", shown.join(" and ")))
            }
        }
    }

    pub(super) fn matches(&mut self, text: &Operand<'a>, pattern: &Pattern) -> Evaluated<Operand<'a>> {
        let Operand::Text(text) = text else {
            return Stop::failed(format!("`matches` needs text, not {}", text.shown()));
        };
        self.budget.steps(pattern.steps(text))?;
        Ok(Operand::Bool(pattern.is_match(text)))
    }

    fn size(&mut self, value: &Operand<'a>) -> Evaluated<Operand<'a>> {
        let size = match value {
            Operand::Text(text) => {
                self.budget.read(text.len())?;
                text.chars().count()
            }
            Operand::Bytes(bytes) => bytes.len(),
            Operand::List(list) => list.len(),
            Operand::Map(map) => map.len(),
            other => return Stop::failed(format!("{} has no size", other.shown())),
        };
        Ok(Operand::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    }

    /// `int(x)`, `uint(x)`, `double(x)`, `string(x)`, `bytes(x)` and `bool(x)`.
    fn converted(&mut self, function: Function, value: &Operand<'a>) -> Evaluated<Operand<'a>> {
        let result = match (function, value) {
            (Function::Int, Operand::Int(_))
            | (Function::UInt, Operand::UInt(_))
            | (Function::Double, Operand::Float(_))
            | (Function::String, Operand::Text(_))
            | (Function::Bytes, Operand::Bytes(_))
            | (Function::Bool, Operand::Bool(_)) => Some(value.clone()),
            (Function::Int, Operand::UInt(number)) => i64::try_from(*number).ok().map(Operand::Int),
            (Function::Int, Operand::Float(number)) => {
                // Neither end is exact as a float.
                let fits = *number > i64::MIN as f64 && *number < i64::MAX as f64;
                fits.then_some(Operand::Int(*number as i64))
            }
            (Function::Int, Operand::Text(text)) => text.parse().ok().map(Operand::Int),
            (Function::UInt, Operand::Int(number)) => u64::try_from(*number).ok().map(Operand::UInt),
            (Function::UInt, Operand::Float(number)) => {
                let fits = *number >= 0.0 && *number < u64::MAX as f64;
                fits.then_some(Operand::UInt(*number as u64))
            }
            (Function::UInt, Operand::Text(text)) => text.parse().ok().map(Operand::UInt),
            (Function::Double, Operand::Int(number)) => Some(Operand::Float(*number as f64)),
            (Function::Double, Operand::UInt(number)) => Some(Operand::Float(*number as f64)),
            (Function::Double, Operand::Text(text)) => text.parse().ok().map(Operand::Float),
            (Function::String, Operand::Bool(value)) => Some(Operand::text(&value.to_string())),
            (Function::String, Operand::Int(value)) => Some(Operand::text(&value.to_string())),
            (Function::String, Operand::UInt(value)) => Some(Operand::text(&value.to_string())),
            (Function::String, Operand::Float(value)) => Some(Operand::text(&value.to_string())),
            (Function::String, Operand::Bytes(bytes)) => {
                self.budget.bytes(bytes.len())?;
                std::str::from_utf8(bytes).ok().map(Operand::text)
            }
            (Function::Bytes, Operand::Text(text)) => {
                self.budget.bytes(text.len())?;
                Some(Operand::Bytes(text.as_bytes().into()))
            }
            (Function::Bool, Operand::Text(text)) => match &**text {
                "1" | "t" | "true" | "TRUE" | "True" => Some(Operand::Bool(true)),
                "0" | "f" | "false" | "FALSE" | "False" => Some(Operand::Bool(false)),
                _ => None,
            },
            _ => None,
        };
        let wanted = match function {
            Function::Int => "an int",
            Function::UInt => "a uint",
            Function::Double => "a double",
            Function::String => "text",
            Function::Bytes => "bytes",
            _ => "a bool",
        };
        result.ok_or_else(|| Stop::Failed(format!("{} cannot become {wanted}", value.shown())))
    }

    /// The functions over the items of a list.
    fn over(&mut self, function: Function, items: &List<'a>) -> Evaluated<Operand<'a>> {
        self.budget.steps(items.len() as u64)?;
        match function {
            Function::Sum => sum(items),
            Function::Distinct => self.distinct(items),
            _ => self.extreme(if function == Function::Min { Ordering::Less } else { Ordering::Greater }, items),
        }
    }

    /// The least item, or the greatest; null of none.
    fn extreme(&mut self, kept: Ordering, items: &List<'a>) -> Evaluated<Operand<'a>> {
        if items.len() == 0 {
            return Ok(Operand::Null);
        }
        let mut best = items.item(0)?;
        for index in 1..items.len() {
            let item = items.item(index)?;
            let order = match (&best, &item) {
                (Operand::Null, Operand::Null) => Some(Ordering::Equal),
                (Operand::Bytes(_), _) => None,
                _ => best.order(&item, &mut self.budget)?,
            };
            match order {
                Some(order) if order == kept => {}
                Some(_) => best = item,
                None => return Stop::failed(format!("{} and {} have no order", best.shown(), item.shown())),
            }
        }
        Ok(best)
    }

    /// The items without those that an earlier one equals.
    fn distinct(&mut self, items: &List<'a>) -> Evaluated<Operand<'a>> {
        self.budget.bytes(items.len() * ITEM_BYTES)?;
        // Texts and whole numbers are the usual case, and many: they are looked up in a set.
        let mut known = std::collections::BTreeSet::new();
        let mut kept: Vec<Operand<'a>> = Vec::new();
        let mut others: Vec<Operand<'a>> = Vec::new();
        let are_simple = |item: &Operand<'_>| matches!(item, Operand::Text(_) | Operand::Int(_) | Operand::UInt(_));
        for index in 0..items.len() {
            let item = items.item(index)?;
            let is_simple = are_simple(&item);
            if is_simple && item.key()?.is_some_and(|key| !known.insert(key)) {
                continue;
            }
            // A float can equal a whole number.
            let floats_only = matches!(item, Operand::Text(_));
            let rivals = if is_simple { &others } else { &kept };
            let mut is_new = true;
            for other in rivals.iter().filter(|_| !floats_only) {
                self.budget.step()?;
                if other.equals(&item, &mut self.budget)? {
                    is_new = false;
                    break;
                }
            }
            if is_new {
                kept.push(item.clone());
                if !is_simple {
                    others.push(item);
                }
            }
        }
        Ok(Operand::List(List::Own(Rc::new(kept))))
    }
}

fn sum<'a>(items: &List<'a>) -> Evaluated<Operand<'a>> {
    let (mut whole, mut fraction) = (0i64, None);
    for index in 0..items.len() {
        match items.item(index)? {
            Operand::Int(number) => match whole.checked_add(number) {
                Some(sum) => whole = sum,
                None => return Stop::failed("the sum is out of range"),
            },
            Operand::Float(number) => *fraction.get_or_insert(0.0) += number,
            other => return Stop::failed(format!("{} cannot be added up", other.shown())),
        }
    }
    Ok(fraction.map_or(Operand::Int(whole), |fraction: f64| Operand::Float(fraction + whole as f64)))
}

fn whole_numbers(operator: Binary, left: i64, right: i64) -> Option<i64> {
    match operator {
        Binary::Add => left.checked_add(right),
        Binary::Subtract => left.checked_sub(right),
        Binary::Multiply => left.checked_mul(right),
        Binary::Divide => left.checked_div(right),
        _ => left.checked_rem(right),
    }
}

fn unsigned(operator: Binary, left: u64, right: u64) -> Option<u64> {
    match operator {
        Binary::Add => left.checked_add(right),
        Binary::Subtract => left.checked_sub(right),
        Binary::Multiply => left.checked_mul(right),
        Binary::Divide => left.checked_div(right),
        _ => left.checked_rem(right),
    }
}

/// `None` for the remainder, which CEL does not have of floats.
fn floats(operator: Binary, left: f64, right: f64) -> Option<f64> {
    match operator {
        Binary::Add => Some(left + right),
        Binary::Subtract => Some(left - right),
        Binary::Multiply => Some(left * right),
        Binary::Divide => Some(left / right),
        _ => None,
    }
}

fn sign(operator: Binary) -> &'static str {
    match operator {
        Binary::Add => "+",
        Binary::Subtract => "-",
        Binary::Multiply => "*",
        Binary::Divide => "/",
        _ => "%",
    }
}

/// Why an operator on numbers of the same type has no result.
fn out_of_range(operator: Binary, left: &Operand<'_>, right: &Operand<'_>) -> String {
    match (operator, left, right) {
        (Binary::Remainder, Operand::Float(_), _) => format!("`%` takes whole numbers, not {}", left.shown()),
        (Binary::Divide | Binary::Remainder, _, Operand::Int(0) | Operand::UInt(0)) => {
            format!("{} cannot be divided by 0", left.shown())
        }
        _ => format!("{} {} {} is out of range", left.shown(), sign(operator), right.shown()),
    }
}

/// Why an operator does not take operands of these types, and what to write instead where that is known.
fn mismatch(operator: Binary, left: &Operand<'_>, right: &Operand<'_>) -> String {
    let is_number = |operand: &Operand<'_>| matches!(operand, Operand::Int(_) | Operand::UInt(_) | Operand::Float(_));
    let remedy = if is_number(left) && is_number(right) {
        "; whole numbers and floats do not mix: write `double(x)`, or `1.0` for `1`"
    } else if operator == Binary::Add && (matches!(left, Operand::Text(_)) || matches!(right, Operand::Text(_))) {
        "; write `string(x)` to join texts"
    } else {
        ""
    };
    format!("`{}` cannot take {} and {}{remedy}", sign(operator), left.shown(), right.shown())
}
