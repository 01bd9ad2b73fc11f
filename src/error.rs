//! Errors at the boundary: a kind (which decides the exit code), a message, the chain of causes, hints.

use std::fmt;

/// What the process says when it ends; `docs/exit-codes.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Landed, or nothing to do.
    Done = 0,
    /// The machine failed: git, a database, a provider.
    Machine = 1,
    /// Usage or an invalid document.
    Usage = 2,
    /// Nothing lands: nobody was eligible, or what must be shown was not.
    NoWinner = 3,
    /// Not approved, a stale plan, a sandbox that is required.
    Refused = 4,
    /// The budget ended.
    Budget = 5,
    /// Conflict, target moved, dirty overlap.
    LandingBlocked = 6,
    /// `plan --detailed-exitcode`: there is work.
    Work = 10,
    /// A bug.
    Bug = 101,
    /// Interrupted; the run can be resumed.
    Interrupted = 130,
    /// Terminated; the run can be resumed.
    Terminated = 143,
}

/// An error on its way to the user.
#[derive(Debug)]
pub struct Error {
    /// Decides the exit code.
    pub kind: ExitCode,
    /// What happened, to what.
    pub message: String,
    /// What to do next; may be empty.
    pub hints: Vec<String>,
    /// What failed after it, such as giving back what was held.
    pub notes: Vec<String>,
    /// What caused it.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind.
    pub fn new(kind: ExitCode, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new(), notes: Vec::new(), source: None }
    }

    /// The machine failed.
    pub fn machine(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Machine, message)
    }

    /// Usage or an invalid document or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// Refused before anything was spent.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ExitCode::Refused, message)
    }

    /// Whether only the trial is concerned in which it happened, and others may go on: not where somebody
    /// asked to stop, and not where the disk is full for everybody.
    pub fn is_of_one_trial(&self) -> bool {
        self.kind == ExitCode::Machine && !is_full(&self.message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds what failed after it: the first error is the one that is told.
    #[must_use]
    pub fn and(mut self, later: &Self) -> Self {
        self.notes.push(later.message.clone());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|s| &**s as _)
    }
}

/// Whether the system says that there is no more room, in words that programs pass on.
pub fn is_full(message: &str) -> bool {
    [
        "No space left on device",
        "Disk quota exceeded",
        "os error 28",
        "os error 122",
        "database or disk is full",
        // PostgreSQL's hint where a page was written in part.
        "Check free disk space",
    ]
    .iter()
    .any(|w| message.contains(w))
}

/// What something came to that was followed by something else, whatever it came to itself. Where both failed, the first
/// error is told, and the second is its note.
pub fn followed_by<T>(first: Result<T>, second: Result<()>) -> Result<T> {
    match (first, second) {
        (Err(first), Err(second)) => Err(first.and(&second)),
        (first, second) => second.and(first),
    }
}

/// A result at the boundary.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_errors_the_first_is_told_and_the_second_is_its_note() {
        let failed = |text: &str| Err::<(), _>(Error::machine(text));
        let both = followed_by(failed("the first").map(|()| 1), failed("the second")).unwrap_err();
        assert_eq!((both.message.as_str(), both.notes), ("the first", vec!["the second".to_owned()]));
        assert_eq!(followed_by(failed("the first"), Ok(())).unwrap_err().message, "the first");
        assert_eq!(followed_by(Ok(1), failed("the second")).unwrap_err().message, "the second");
        assert_eq!(followed_by(Ok(1), Ok(())).unwrap(), 1);
    }

    #[test]
    fn a_database_that_could_write_a_page_in_part_alone_says_that_there_is_no_room() {
        let said =
            "ERROR:  could not extend file \"base/1/2\": wrote only 4096 of 8192 bytes\nHINT:  Check free disk space.";
        assert!(is_full(said) && !is_full("ERROR:  relation \"more\" already exists"));
    }
}
