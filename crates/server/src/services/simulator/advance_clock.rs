//! `AdvanceClock`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) fn handle(
    app: &App,
    request: Request<v1::AdvanceClockRequest>,
) -> Result<Response<v1::AdvanceClockResponse>> {
    let (owner, request) = owner::split(request)?;
    let by = convert::simulator::advance(request)?;
    let time = app.advance_clock(&owner, by)?;
    Ok(Response::new(convert::simulator::advance_to_proto(time)))
}
