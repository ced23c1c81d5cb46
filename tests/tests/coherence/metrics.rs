//! What the services count of themselves.

use parlance_tests::raw;

use crate::cluster::Cluster;

/// Fences and releases that did not come through, and reads at a shut gate, where writes are not even tried. On a busy machine a
/// time-out is no wonder; such a write is cut, and may be seen by some before it is acknowledged.
pub(crate) async fn unfenced(cluster: &Cluster) -> u64 {
    counted(cluster, |line| {
        let is_write = line.contains(r#"operation="invalidate""#);
        line.starts_with("cache_operations_total")
            && (is_write && !line.contains(r#"result="ok""#) || line.contains(r#"result="gate""#))
    })
    .await
}

/// What the auditors have looked at, and what they have found wrong.
pub(crate) async fn audited(cluster: &Cluster) -> (u64, u64) {
    let sum = |name: &'static str| counted(cluster, move |line| line.starts_with(name));
    (
        sum("parlance_cache_audit_checked_total").await,
        sum("parlance_cache_audit_violations_total").await,
    )
}

/// The sum of these lines of the pages of metrics.
async fn counted(cluster: &Cluster, which: impl Fn(&str) -> bool) -> u64 {
    let mut count = 0;
    for service in &cluster.services {
        let metrics = raw::get(&format!("{}/metrics", service.http_url())).await;
        let text = metrics.text();
        let lines = text.lines().filter(|line| which(line));
        let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        count += counts.sum::<u64>();
    }
    count
}
