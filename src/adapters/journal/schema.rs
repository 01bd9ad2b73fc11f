//! All SQL of the journal: one table, which only grows.

/// Makes the table where it is not there.
pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS record (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        run TEXT NOT NULL,
        at INTEGER NOT NULL,
        elapsed_ns INTEGER NOT NULL,
        kind TEXT NOT NULL,
        data TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS record_run ON record (run, sequence);";

/// The records of a run, in their order.
pub(crate) const ENTRIES: &str =
    "SELECT sequence, run, at, elapsed_ns, kind, data FROM record WHERE run = ? ORDER BY sequence";

/// The runs, in the order in which they began.
pub(crate) const RUNS: &str = "SELECT run FROM record GROUP BY run ORDER BY min(sequence)";

/// How adding records begins; their values follow.
pub(super) const INSERT: &str = "INSERT INTO record (run, at, elapsed_ns, kind, data) ";
