//! Errors of the storage layer. Absence is not an error: it is an `Option`.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// Error of a storage operation.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Another transaction was first: a unique value is taken, or a row has another version.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A row has a value that this crate never writes.
    #[error("inconsistent {table}.{column} in row {row}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
    },
    /// The database cannot be reached, or is shutting down.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// All connections were in use for longer than a caller waits; on SQLite mostly the one for writing.
    #[error("the database is busy: no free connection in time")]
    Busy,
    /// The database answers and takes no writes: its disk is full or fails, or it is read-only.
    #[error("the database refuses writes: {0}")]
    WritesRefused(String),
    /// A recorded migration has other content than the one of this version.
    #[error(
        "the tables are not those of this version ({0}): an unreleased build created this database. Create a new database, \
         and move the conversations with `parlance export` of that build and `parlance import` of this one"
    )]
    OtherSchema(String),
    /// The statement ran into the time limit of its connection, or was cancelled.
    #[error("statement timed out or was cancelled")]
    TimedOut,
    /// Any other error of the driver.
    #[error("database driver: {0}")]
    Driver(#[source] DieselError),
}

/// Result of a storage operation.
pub type StorageResult<T> = Result<T, StorageError>;

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind as Kind;
        let DieselError::DatabaseError(kind, info) = &error else {
            return Self::Driver(error);
        };
        let message = info.message().to_owned();
        // The row that a statement refers to existed when it was read, and another transaction has removed it since.
        if matches!(
            kind,
            Kind::UniqueViolation | Kind::SerializationFailure | Kind::ForeignKeyViolation
        ) {
            Self::Conflict(message)
        } else if matches!(kind, Kind::ReadOnlyTransaction) {
            Self::WritesRefused(message)
        } else if matches!(kind, Kind::ClosedConnection | Kind::UnableToSendCommand) {
            Self::Unavailable(message)
        } else {
            Self::from_message(&message).unwrap_or(Self::Driver(error))
        }
    }
}

impl StorageError {
    /// Classifies an error by the server's message, where diesel has no kind for it. The messages are English if
    /// `lc_messages` is, which only a superuser may set: in another language such an error becomes `Driver`.
    fn from_message(message: &str) -> Option<Self> {
        // Messages of the operating system, of Postgres and of SQLite.
        const WRITES_REFUSED: [&str; 8] = [
            "no space left on device",
            "disk quota exceeded",
            "file too large",
            "read-only transaction",
            "database or disk is full",
            "readonly database",
            "disk i/o error",
            "unable to open database file",
        ];
        // Includes class 53 of Postgres: out of connections, memory or locks.
        const UNAVAILABLE: [&str; 11] = [
            "terminating connection",
            "the database system is",
            "connection closed",
            "connection reset",
            "broken pipe",
            "remaining connection slots are reserved",
            "sorry, too many clients already",
            "out of memory",
            "out of shared memory",
            "configured limit",
            "database is locked",
        ];
        if message.contains("statement timeout")
            || message.contains("lock timeout")
            || message.contains("due to user request")
        {
            return Some(Self::TimedOut);
        }
        if message.contains("deadlock detected") {
            return Some(Self::Conflict(message.to_owned()));
        }
        let lower = message.to_ascii_lowercase();
        if WRITES_REFUSED.iter().any(|words| lower.contains(words)) {
            return Some(Self::WritesRefused(message.to_owned()));
        }
        UNAVAILABLE
            .iter()
            .any(|words| lower.contains(words))
            .then(|| Self::Unavailable(message.to_owned()))
    }

    /// Whether this error, as the answer to a COMMIT, proves that nothing was written. A broken connection proves
    /// nothing, and neither does a failed disk: what it stored may count after a restart.
    pub(crate) const fn is_refusal(&self) -> bool {
        match self {
            // Postgres accepts a cancel before it writes the commit record, and not after.
            Self::Conflict(_) | Self::TimedOut | Self::Driver(DieselError::RollbackTransaction) => {
                true
            }
            Self::Driver(DieselError::DatabaseError(kind, _)) => matches!(
                kind,
                DatabaseErrorKind::CheckViolation
                    | DatabaseErrorKind::NotNullViolation
                    | DatabaseErrorKind::RestrictViolation
                    | DatabaseErrorKind::ExclusionViolation
            ),
            Self::Driver(_)
            | Self::Unavailable(_)
            | Self::Busy
            | Self::WritesRefused(_)
            | Self::OtherSchema(_)
            | Self::Inconsistent { .. } => false,
        }
    }

    /// Returns the error for a value that this crate never writes.
    pub(crate) fn inconsistent(
        table: &'static str,
        column: &'static str,
        row: impl std::fmt::Display,
    ) -> Self {
        Self::Inconsistent {
            table,
            column,
            row: row.to_string(),
        }
    }
}
