//! `SetScript`.

use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response};

use crate::convert;
use crate::services::owner;

pub(super) fn handle(
    app: &App,
    request: Request<v1::SetScriptRequest>,
) -> Result<Response<v1::SetScriptResponse>> {
    let (owner, request) = owner::split(request)?;
    let script = convert::simulator::script(request)?;
    app.set_script(&owner, script)?;
    Ok(Response::new(v1::SetScriptResponse {}))
}
