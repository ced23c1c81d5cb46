//! What can go wrong below the app. Absence is not one of them: it is an `Option`.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A storage operation that did not happen.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Somebody else was there first: a unique value is taken, or a row moved on.
    #[error("conflict: {0}")]
    Conflict(String),
    /// A row holds what we never write.
    #[error("inconsistent {table}.{column} in row {row}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
    },
    /// The database cannot be reached, is shutting down, or has no free connection in time.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The database answers and takes no writes: its disk is full or fails, or it is read-only.
    #[error("the database refuses writes: {0}")]
    WritesRefused(String),
    /// The statement ran into the time limit of its connection, or was cancelled.
    #[error("statement timed out or was cancelled")]
    TimedOut,
    /// Anything else the driver says.
    #[error("database driver: {0}")]
    Driver(#[source] DieselError),
}

/// The result of a storage operation.
pub type StorageResult<T> = Result<T, StorageError>;

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        use DatabaseErrorKind as Kind;
        let DieselError::DatabaseError(kind, info) = &error else {
            return Self::Driver(error);
        };
        let message = info.message().to_owned();
        // A row that a statement refers to was there when it was read, and another transaction has removed it since.
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
    /// Diesel has no kind for these; the server's words tell them. They are English where `lc_messages` is, which only a
    /// superuser may set: with another language such an error is still an error, of the kind `Driver`.
    fn from_message(message: &str) -> Option<Self> {
        // Of the system, of Postgres, of SQLite.
        const REFUSED: [&str; 8] = [
            "no space left on device",
            "disk quota exceeded",
            "file too large",
            "read-only transaction",
            "database or disk is full",
            "readonly database",
            "disk i/o error",
            "unable to open database file",
        ];
        // With class 53 of Postgres: out of connections, memory, locks.
        const GONE: [&str; 11] = [
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
        if REFUSED.iter().any(|words| lower.contains(words)) {
            return Some(Self::WritesRefused(message.to_owned()));
        }
        GONE.iter()
            .any(|words| lower.contains(words))
            .then(|| Self::Unavailable(message.to_owned()))
    }

    /// Whether, as the answer to a COMMIT, it says for certain that nothing was written. A connection that broke says nothing,
    /// and neither does a disk that failed: what it holds may count after a restart.
    pub(crate) const fn is_refusal(&self) -> bool {
        match self {
            // Postgres takes a cancel before it writes the commit down, and not after.
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
            | Self::WritesRefused(_)
            | Self::Inconsistent { .. } => false,
        }
    }

    /// A row that holds what we never write.
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
