//! Which round of a run a round is, and what the scenario calls it.

use sha2::{Digest, Sha256};

use crate::expression::Scope;
use crate::value::Value;

/// The numbers of one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoundNumber {
    /// Its number among the case's rounds in the whole run, from 0.
    pub(crate) of_run: u64,
    /// Its number since `setup` ran, from 0: the scenario's `round`. A pass of `--for` sets up again and begins at 0.
    pub(crate) since_setup: u64,
    /// A positive number that no other round has: the scenario's `round_id`.
    pub(crate) id: i64,
}

impl RoundNumber {
    /// The numbers of a round of the run that is called `run`.
    pub(crate) fn new(run: &str, of_run: u64, since_setup: u64) -> Self {
        RoundNumber { of_run, since_setup, id: id(run, of_run) }
    }

    /// Binds `round` and `round_id`.
    pub(crate) fn bind(self, scope: &mut Scope) {
        scope.bind("round", Value::Int(i64::try_from(self.since_setup).unwrap_or(i64::MAX)));
        scope.bind("round_id", Value::Int(self.id));
    }
}

/// 31 bits that stand for the run, which is named at random, and 32 of the round's number.
fn id(run: &str, of_run: u64) -> i64 {
    let digest = Sha256::digest(run.as_bytes());
    let bits = u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) >> 1;
    // Zero bits would make the first round's id 0, which is not positive.
    i64::from(bits.max(1)) << 32 | (of_run & u64::from(u32::MAX)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive_and_differ_by_run_and_round() {
        let ids: Vec<i64> = ["dh_00000000", "dh_00000001"]
            .iter()
            .flat_map(|run| [0, 1, u64::from(u32::MAX)].map(|round| RoundNumber::new(run, round, 0).id))
            .collect();
        assert!(ids.iter().all(|id| *id > 0), "{ids:?}");
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(RoundNumber::new("dh_1", 7, 0).id, RoundNumber::new("dh_1", 7, 3).id, "set-up does not change it");
    }
}
