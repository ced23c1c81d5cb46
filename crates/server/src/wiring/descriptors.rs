//! File descriptors: the soft limit is raised as far as connections need, and connections stay below it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;
use crate::listen::ConnectionLimit;

/// A connection to the database: a socket, or a file with its log and index.
const PER_DATABASE_CONNECTION: u64 = 3;
/// Listeners, Redis, providers, traces, the runtime.
const OTHERS: u64 = 96;

/// The limit that the settings want, or that the system allows.
pub(super) fn connection_limit(settings: &Settings) -> ConnectionLimit {
    let wanted = settings.connections.max;
    let others = OTHERS + PER_DATABASE_CONNECTION * u64::from(settings.database.pool_size);
    let reserve = ConnectionLimit::RESERVE + others;
    let allowed = raise(u64::from(wanted) + reserve).saturating_sub(reserve);
    let most = u32::try_from(allowed).map_or(wanted, |allowed| wanted.min(allowed.max(1)));
    if most < wanted {
        tracing::warn!(
            "MAX_CONNECTIONS is {wanted}, but the limit of open files allows {most}: raise it (ulimit -n, LimitNOFILE)"
        );
    }
    ConnectionLimit::new(most)
}

/// Raises the soft limit to this, or as far as it goes, and returns what it is then.
fn raise(wanted: u64) -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let soft = current.unwrap_or(u64::MAX);
    let raised = wanted.min(maximum.unwrap_or(u64::MAX));
    if raised <= soft {
        return soft;
    }
    let limit = Rlimit {
        current: Some(raised),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).map_or(soft, |()| raised)
}
