//! The cluster under test.

use tokio::sync::{Mutex, MutexGuard};

pub(crate) use parlance_tests::cluster::{
    Cluster, DEADLINE, INSTANCES, Plan, address, learn_versions,
};

/// Lets one cluster run at a time: on a small machine two would be so slow that only time-outs are tested.
pub(crate) async fn exclusive() -> MutexGuard<'static, ()> {
    static RUNNING: Mutex<()> = Mutex::const_new(());
    RUNNING.lock().await
}
