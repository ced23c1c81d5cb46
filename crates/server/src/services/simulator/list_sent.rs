//! `ListSent`. Asks the simulator, not the app: only the simulated network knows what arrived there.

use parlance_app::Result;
use parlance_proto::v1;
use parlance_providers::simulator::Simulator;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) fn handle(
    simulator: &Simulator,
    request: Request<v1::ListSentRequest>,
) -> Result<Response<v1::ListSentResponse>> {
    let (owner, request) = owner::split(request)?;
    let query = convert::simulator::list(request, owner)?;
    Ok(Response::new(convert::simulator::list_to_proto(
        simulator.seen(&query),
    )))
}
