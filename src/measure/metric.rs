//! The names of what reports measure.

/// Whether a name can be a metric's: `makespan`, `p50`, `p99`, or `step.p50`, `step.p99`.
pub fn is_metric(name: &str) -> bool {
    let of_step =
        name.rsplit_once('.').is_some_and(|(step, quantile)| !step.is_empty() && ["p50", "p99"].contains(&quantile));
    ["makespan", "p50", "p99"].contains(&name) || of_step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_of_rounds_attempts_or_steps() {
        assert!(["makespan", "p50", "p99", "append.p50", "a.b.p99"].into_iter().all(is_metric));
        assert!(!["max", "append", "append.max", ".p50", "makespan.p50x", ""].into_iter().any(is_metric));
    }
}
