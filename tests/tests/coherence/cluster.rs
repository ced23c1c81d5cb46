//! What is hurt.

use tokio::sync::{Mutex, MutexGuard};

pub(crate) use parlance_tests::cluster::{
    Cluster, DEADLINE, INSTANCES, Plan, address, learn_versions,
};

/// One set of processes at a time: on a small machine two would be so slow that time-outs are all that is tested.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
