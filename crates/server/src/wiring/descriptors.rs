//! Limit of open files: the soft limit is raised as far as connections need, and connections stay below it.

use parlance_transport::listen::ConnectionLimit;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// Descriptors of one database connection: a socket, or a file with its log and index.
const PER_DATABASE_CONNECTION: u64 = 3;
/// Descriptors of listeners, Redis, providers, traces and the runtime.
const OTHERS: u64 = 96;

/// Returns the limit of `MAX_CONNECTIONS`, or the lower one that the system allows.
pub(super) fn connection_limit(settings: &Settings) -> ConnectionLimit {
    let wanted = settings.max_connections;
    let others = OTHERS + PER_DATABASE_CONNECTION * u64::from(settings.database_pool_size);
    let reserve = ConnectionLimit::RESERVE + others;
    let allowed = raise(u64::from(wanted) + reserve).saturating_sub(reserve);
    let max = u32::try_from(allowed).map_or(wanted, |allowed| wanted.min(allowed.max(1)));
    if max < wanted {
        tracing::warn!(
            "MAX_CONNECTIONS is {wanted}, but the limit of open files allows {max}; raise that limit (ulimit -n, LimitNOFILE)"
        );
    }
    ConnectionLimit::new(max)
}

/// Raises the soft limit to this number, or to the hard limit, and returns the limit in force.
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
