//! Why an attempt was not a success, as far as something depends on it.

/// What ended an attempt. The class says how it ended, the code says it in the words of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// The system answered, and refused.
    Server,
    /// The connection was lost before the answer, or before the request.
    ConnectionLost,
    /// Nobody took the request: the server is there, and what should have answered is not.
    Unanswered,
    /// A deadline passed before the answer.
    Deadline,
    /// The step wanted another number of rows.
    Rows {
        /// How many were returned or changed.
        found: u64,
    },
    /// An `assert` was not true.
    Assertion,
    /// A barrier was never completed.
    Barrier,
    /// The worker panicked.
    Panic,
    /// What came does not fit what was to be made of it: an answer that cannot be read, an expression without a value.
    Malformed,
}
