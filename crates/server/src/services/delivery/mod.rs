//! `DeliveryService`: one file per RPC. For operators: it works on the messages of all owners.

mod hold_delivery;
mod release_hold;

use std::sync::Arc;

use parlance_app::App;
use parlance_proto::v1;
use parlance_proto::v1::delivery_service_server::DeliveryService;
use tonic::{Request, Response, Status};

use crate::status;

/// Handlers of `DeliveryService`.
pub(super) struct Deliveries(pub(super) Arc<App>);

#[tonic::async_trait]
impl DeliveryService for Deliveries {
    async fn hold_delivery(
        &self,
        request: Request<v1::HoldDeliveryRequest>,
    ) -> Result<Response<v1::HoldDeliveryResponse>, Status> {
        hold_delivery::handle(&self.0, request)
            .await
            .map_err(status::of)
    }

    async fn release_hold(
        &self,
        request: Request<v1::ReleaseHoldRequest>,
    ) -> Result<Response<v1::ReleaseHoldResponse>, Status> {
        release_hold::handle(&self.0, request)
            .await
            .map_err(status::of)
    }
}
