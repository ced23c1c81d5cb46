//! Connections to the server that takes writes.

use std::time::Duration;

use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::liveness;
use crate::open::full_message;

/// What the driver says of a server that refuses writes.
const READ_ONLY: &str = "database does not allow writes";

type Tls = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Connects to the first host of the URL that takes writes, whatever its `target_session_attrs` says: one standby in a pool would
/// serve old rows to one read in so many. A standby refuses writes as long as it is in recovery.
pub(crate) async fn connect(
    url: &str,
    tls: MakeRustlsConnect,
    statement_timeout: Duration,
) -> Result<(Client, Connection<Socket, Tls>), String> {
    let mut config = liveness::config(url, statement_timeout).map_err(|error| error.to_string())?;
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    config
        .connect(tls)
        .await
        .map_err(|error: tokio_postgres::Error| explained(full_message(&error)))
}

fn explained(message: String) -> String {
    if message.contains(READ_ONLY) {
        return format!(
            "{message}: every host of DATABASE_URL that answers is a standby or read-only (default_transaction_read_only); \
             name the primary there, or all hosts separated by commas, of which the primary is used"
        );
    }
    message
}
