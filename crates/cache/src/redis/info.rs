//! Identity and statistics of a server.

use deadpool_redis::redis::aio::{ConnectionLike as _, MultiplexedConnection};
use deadpool_redis::redis::{ErrorKind, RedisError, RedisResult, cmd, pipe};

use crate::ledger::RemoteId;
use crate::remote::RemoteStats;

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

/// Identity of the Redis database behind the connection: run id and replication id of the process, and the database number. The
/// run id alone is not enough: it stays when the same process is promoted again, and one process holds several databases.
///
/// A replica is refused: it cannot take a fence, and the connection must be replaced by one to its master.
pub(super) async fn process(connection: &mut MultiplexedConnection) -> RedisResult<RemoteId> {
    let mut asked = pipe();
    asked.cmd("INFO").arg("server");
    asked.cmd("INFO").arg("replication");
    let (server, replication): (String, String) = asked.query_async(connection).await?;
    if field(&replication, "role") != Some("master") {
        return Err((ErrorKind::Io, "the server is a replica").into());
    }
    match (
        field(&server, "run_id"),
        field(&replication, "master_replid"),
    ) {
        (Some(run), Some(replication)) => {
            Ok(format!("{run}:{replication}:{}", connection.get_db()).into())
        }
        _ => Err(unexpected("INFO contains no run id")),
    }
}

fn unexpected(text: &'static str) -> RedisError {
    (ErrorKind::UnexpectedReturnType, text).into()
}

pub(super) async fn stats(connection: &mut MultiplexedConnection) -> RedisResult<RemoteStats> {
    let mut asked = pipe();
    for section in ["memory", "stats", "keyspace"] {
        asked.cmd("INFO").arg(section);
    }
    let (memory, stats, keyspace): (String, String, String) = asked.query_async(connection).await?;
    let number = |info, name| field(info, name).and_then(|n| n.parse().ok()).unwrap_or(0);
    Ok(RemoteStats {
        used_bytes: number(&memory, "used_memory"),
        max_bytes: number(&memory, "maxmemory"),
        evicted: number(&stats, "evicted_keys"),
        keys: keyspace.lines().filter_map(keys).sum(),
    })
}

/// Parses the number of keys from a line such as `db0:keys=12,expires=3,avg_ttl=0`.
fn keys(line: &str) -> Option<u64> {
    let (_, rest) = line.strip_prefix("db")?.split_once(":keys=")?;
    rest.split(',').next()?.parse().ok()
}

pub(super) async fn ping(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    cmd("PING").exec_async(connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_full_name() {
        let info = "# Memory\r\nused_memory_human:1M\r\nused_memory:12\r\nmaxmemory:0\r\n";
        assert_eq!(field(info, "used_memory"), Some("12"));
        assert_eq!(field(info, "memory"), None);
    }

    #[test]
    fn keys_of_each_database_are_counted() {
        assert_eq!(keys("db0:keys=12,expires=3,avg_ttl=0\r"), Some(12));
        assert_eq!(keys("db11:keys=1,expires=0,avg_ttl=0"), Some(1));
        assert_eq!(keys("# Keyspace"), None);
        assert_eq!(keys("db0:nothing"), None);
    }
}
