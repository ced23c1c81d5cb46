//! `parlance stats`.

use parlance_proto::v1::GetStatsRequest;

use super::service::Service;
use crate::arguments::Stats;
use crate::failure::Failure;
use crate::show::{self, Screen};

pub(super) async fn run(
    arguments: &Stats,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let request = service.call(GetStatsRequest {
        user: arguments.user.clone().unwrap_or_default(),
    });
    let stats = service.conversations().get_stats(request).await?;
    screen.show(&[stats.into_inner()], show::stats::lines)
}
