//! What expressions can call.

use std::sync::Arc;

use cel::extractors::Arguments;
use cel::{Context, ExecutionError};

/// The functions that scenarios have beside CEL's own (`matches` is CEL's).
pub(super) fn add_functions(context: &mut Context) {
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
