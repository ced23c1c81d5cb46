//! `parlance hold` and `parlance release`.

use parlance_proto::v1::{HoldDeliveryRequest, ReleaseHoldRequest};

use super::service::Service;
use crate::failure::Failure;
use crate::show::{self, Screen};

pub(super) async fn hold(service: &Service, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let request = service.call(HoldDeliveryRequest {});
    let held = service.delivery().hold_delivery(request).await?;
    screen.show(&[held.into_inner()], show::hold::held)
}

pub(super) async fn release(service: &Service, screen: &mut Screen<'_>) -> Result<(), Failure> {
    let request = service.call(ReleaseHoldRequest {});
    let released = service.delivery().release_hold(request).await?;
    screen.show(&[released.into_inner()], show::hold::released)
}
