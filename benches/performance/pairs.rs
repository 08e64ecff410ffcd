//! Interleaved pairs: ours and the peer's in turn, so that whatever else the machine does falls on both.

use crate::harness::Result;

/// How many pairs are measured, after one that is thrown away.
pub(crate) const PAIRS: usize = 24;

/// What a ratio must keep to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Floor {
    AtLeast(f64),
    AtMost(f64),
    /// The ratio is shown and holds nobody to anything.
    None,
}

/// What was measured in turn, pair by pair.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pairs {
    ours: Vec<f64>,
    peer: Vec<f64>,
}

impl Pairs {
    /// Measures ours and the peer's in the order ABBA.
    pub(crate) async fn measure(
        mut ours: impl AsyncFnMut() -> Result<f64>,
        mut peer: impl AsyncFnMut() -> Result<f64>,
    ) -> Result<Self> {
        let mut pairs = Pairs::default();
        for pair in 0..=PAIRS {
            let (our, their) = if pair % 2 == 0 {
                let our = ours().await?;
                (our, peer().await?)
            } else {
                let their = peer().await?;
                (ours().await?, their)
            };
            if pair > 0 {
                pairs.push(our, their);
            }
        }
        Ok(pairs)
    }

    pub(crate) fn push(&mut self, our: f64, their: f64) {
        self.ours.push(our);
        self.peer.push(their);
    }

    pub(crate) fn len(&self) -> usize {
        self.ours.len()
    }

    pub(crate) fn ours(&self) -> f64 {
        quantile(&self.ours, 0.5)
    }

    pub(crate) fn peer(&self) -> f64 {
        quantile(&self.peer, 0.5)
    }

    /// The lower quartile, the median and the upper quartile of the pairs' ratios.
    pub(crate) fn ratio(&self) -> [f64; 3] {
        let ratios: Vec<f64> = self.ours.iter().zip(&self.peer).map(|(our, their)| our / their).collect();
        [0.25, 0.5, 0.75].map(|at| quantile(&ratios, at))
    }
}

impl Floor {
    /// Whether `ratio` keeps to it; `None` where there is nothing to keep to.
    pub(crate) fn is_kept_by(self, ratio: f64) -> Option<bool> {
        match self {
            Floor::AtLeast(floor) => Some(ratio >= floor),
            Floor::AtMost(floor) => Some(ratio <= floor),
            Floor::None => None,
        }
    }
}

/// The value at `quantile`, between neighbours in proportion.
pub(crate) fn quantile(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = quantile * (sorted.len().saturating_sub(1)) as f64;
    match (sorted.get(at.floor() as usize), sorted.get(at.ceil() as usize)) {
        (Some(below), Some(above)) => below + (above - below) * at.fract(),
        _ => f64::NAN,
    }
}
