//! Time limit of a background task's step.

use std::time::Duration;

use parlance_storage::StorageError;

/// Longer than the few statements of a step may take, each of which has its own limit.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs one step of a background task; a step that hangs fails, and the task goes on with the next.
pub(crate) async fn in_time<T, E: From<StorageError>>(
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    within(LIMIT, step).await
}

/// Runs a step with another limit.
pub(crate) async fn within<T, E: From<StorageError>>(
    limit: Duration,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(limit, step).await.unwrap_or_else(|_| {
        let message = format!("a step of a background task did not finish within {limit:?}");
        Err(StorageError::Unavailable(message).into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_fails() {
        let hangs = std::future::pending::<Result<(), StorageError>>();
        let ended = in_time(hangs).await;
        assert!(
            matches!(ended, Err(StorageError::Unavailable(_))),
            "{ended:?}"
        );
        assert!(in_time(async { Ok::<_, StorageError>(1) }).await.is_ok());
    }
}
