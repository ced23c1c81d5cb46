//! Connects to the server that accepts writes.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::liveness;

/// The driver's message about a server that refuses writes.
const READ_ONLY: &str = "database does not allow writes";

type Tls = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Connects to the first host of the URL that accepts writes, whatever its `target_session_attrs` says: one standby in
/// a pool would serve old rows to some of the reads. A standby refuses writes as long as it is in recovery. If no host
/// accepts writes, a primary that is temporarily read-only (`default_transaction_read_only`) still serves reads: it
/// must be the first host that answers.
pub(crate) async fn connect(
    url: &str,
    tls: MakeRustlsConnect,
    statement_timeout: Duration,
) -> Result<(Client, Connection<Socket, Tls>), String> {
    let mut config = liveness::config(url, statement_timeout).map_err(|error| error.to_string())?;
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    let refusal = match config.connect(tls.clone()).await {
        Ok(connected) => return Ok(connected),
        Err(error) => full_message(&error),
    };
    if !refusal.contains(READ_ONLY) {
        return Err(refusal);
    }
    config.target_session_attrs(TargetSessionAttrs::Any);
    let connected = config.connect(tls).await;
    let (client, mut connection) = connected.map_err(|error| full_message(&error))?;
    if is_in_recovery(&client, &mut connection).await? {
        return Err(format!(
            "{refusal}: the first host of DATABASE_URL that answers is a standby; name the primary there, or all hosts separated \
             by commas, of which the primary is used"
        ));
    }
    Ok((client, connection))
}

/// Queries over a connection that is not yet driven by a task.
async fn is_in_recovery(
    client: &Client,
    connection: &mut Connection<Socket, Tls>,
) -> Result<bool, String> {
    let asking = pin!(client.query_one("SELECT pg_is_in_recovery()", &[]));
    let answer = match select(asking, connection).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, asking)) => asking.await,
    };
    let row = answer.map_err(|error| full_message(&error))?;
    row.try_get(0).map_err(|error| full_message(&error))
}

/// Returns the message of an error with those of all its sources: the driver puts the reason into a source.
fn full_message(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        message = format!("{message}: {inner}");
        source = inner.source();
    }
    message
}
