//! Metrics of the services.

use parlance_tests::raw;

use crate::cluster::Cluster;

/// Failed fences and releases, and reads at a shut gate, where fences are not even tried. Time-outs occur on a busy
/// machine; such a write is degraded, and may be visible to some readers before it is acknowledged.
pub(crate) async fn unfenced(cluster: &Cluster) -> u64 {
    counted(cluster, |line| {
        let is_write = line.contains(r#"operation="invalidate""#);
        line.starts_with("cache_operations_total")
            && (is_write && !line.contains(r#"result="ok""#) || line.contains(r#"result="gate""#))
    })
    .await
}

/// Values that the auditors have checked, and those that were wrong.
pub(crate) async fn audited(cluster: &Cluster) -> (u64, u64) {
    let sum = |name: &'static str| counted(cluster, move |line| line.starts_with(name));
    (
        sum("parlance_cache_audit_checked_total").await,
        sum("parlance_cache_audit_violations_total").await,
    )
}

/// Sum of the matching metrics of all services.
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
