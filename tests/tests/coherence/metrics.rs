//! What the services count of themselves.

use parlance_tests::raw;

use crate::cluster::Cluster;

/// Fences and releases that did not come through, and reads at a shut gate, where writes are not even tried. On a busy machine a
/// time-out is no wonder; such a write is cut, and may be seen by some before it is acknowledged.
pub(crate) async fn unfenced(cluster: &Cluster) -> u64 {
    let mut count = 0;
    for service in &cluster.services {
        let metrics = raw::get(&format!("{}/metrics", service.http_url())).await;
        count += counted(&metrics.text());
    }
    count
}

/// On a page of metrics.
fn counted(metrics: &str) -> u64 {
    let is_failure = |line: &&str| {
        let is_write = line.contains(r#"operation="invalidate""#);
        line.starts_with("cache_operations_total")
            && (is_write && !line.contains(r#"result="ok""#) || line.contains(r#"result="gate""#))
    };
    let counts = metrics
        .lines()
        .filter(is_failure)
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
    counts.sum()
}
