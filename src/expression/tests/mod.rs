//! Tests of expressions as a whole.

mod bounds;
mod oracle;
mod rules;
