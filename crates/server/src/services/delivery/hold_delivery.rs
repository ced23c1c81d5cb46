//! `HoldDelivery`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::services::owner;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::HoldDeliveryRequest>,
) -> Result<Response<v1::HoldDeliveryResponse>> {
    let (_owner, v1::HoldDeliveryRequest {}) = owner::split(request)?;
    let held = app.hold_delivery().await?;
    Ok(Response::new(v1::HoldDeliveryResponse { held }))
}
