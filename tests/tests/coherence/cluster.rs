//! What is hurt.

pub(crate) use parlance_tests::cluster::{Cluster, INSTANCES, address};
