//! What an evaluation may cost. An expression is text of a user's over data of a server's: neither bounds its time.

use std::sync::Arc;

use tokio::time::Instant;

/// The most steps of one evaluation: below a second.
const STEPS_MAX: u64 = 20_000_000;

/// The most bytes that one evaluation may make or return.
pub(super) const BYTES_MAX: u64 = 64 << 20;

/// The clock is read once in this many steps.
const STEPS_A_LOOK: u64 = 1024;

/// Why an evaluation ended without a value.
#[derive(Debug)]
pub(super) enum Stop {
    /// An operation has no result for its operands. `&&`, `||`, `all` and `exists` may do without it.
    Failed(String),
    /// A name is not bound.
    Unbound(Arc<str>),
    /// A decimal that a float cannot hold was used.
    TooLong(Arc<str>),
    /// The evaluation cost too much; the end of a sentence that begins with the expression.
    Exhausted(String),
}

impl Stop {
    /// An operation has no result.
    pub(super) fn failed<T>(message: impl Into<String>) -> Result<T, Stop> {
        Err(Stop::Failed(message.into()))
    }
}

/// What is left of the costs.
#[derive(Debug)]
pub(super) struct Budget {
    steps: u64,
    /// The clock is read when no more than this many steps are left.
    look_at: u64,
    bytes: u64,
    deadline: Option<Instant>,
}

impl Budget {
    pub(super) fn new(deadline: Option<Instant>) -> Self {
        Budget { steps: STEPS_MAX, look_at: STEPS_MAX - STEPS_A_LOOK, bytes: BYTES_MAX, deadline }
    }

    /// Takes one step.
    pub(super) fn step(&mut self) -> Result<(), Stop> {
        self.steps(1)
    }

    /// Takes `count` steps at once.
    pub(super) fn steps(&mut self, count: u64) -> Result<(), Stop> {
        self.steps = self.steps.saturating_sub(count);
        if self.steps > self.look_at { Ok(()) } else { self.look() }
    }

    #[cold]
    fn look(&mut self) -> Result<(), Stop> {
        if self.steps == 0 {
            return Err(Stop::Exhausted(format!(
                "takes more than {STEPS_MAX} steps; let the query sort, group or count, or ask for fewer rows"
            )));
        }
        self.look_at = self.steps.saturating_sub(STEPS_A_LOOK);
        if self.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Stop::Exhausted("was not evaluated before the round's `timeout` passed".to_owned()));
        }
        Ok(())
    }

    /// Makes `count` bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Result<(), Stop> {
        match self.bytes.checked_sub(count as u64) {
            Some(left) => self.bytes = left,
            None => {
                let message = format!("makes more than {} MiB; ask for less, or save a part", BYTES_MAX >> 20);
                return Err(Stop::Exhausted(message));
            }
        }
        Ok(())
    }

    /// Looks at `count` bytes of text.
    pub(super) fn read(&mut self, count: usize) -> Result<(), Stop> {
        self.steps(count as u64 / 64)
    }
}
