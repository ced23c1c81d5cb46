//! `ImportConversations`.

use futures_util::TryStreamExt as _;
use parlance_app::App;
use parlance_app::conversations::import::ImportError;
use parlance_proto::v1;
use tonic::{Request, Response, Status, Streaming};

use crate::services::owner;
use crate::{convert, status};

/// Handles the call. An error, or the client's cancellation, ends the import; what was written until then stays.
pub(super) async fn handle(
    app: &App,
    request: Request<Streaming<v1::ImportConversationsRequest>>,
) -> Result<Response<v1::ImportConversationsResponse>, Status> {
    let (owner, parts) = owner::split(request).map_err(status::of)?;
    let limits = app.limits();
    let parts = parts.map_ok(|part| convert::conversation::import_part(part, limits));
    let imported = app.import_conversations(&owner, parts).await;
    match imported {
        Ok(imported) => Ok(Response::new(convert::conversation::imported_to_proto(
            imported,
        ))),
        Err(ImportError::Stream(status)) => Err(status),
        Err(ImportError::Write(error)) => Err(status::of(error)),
    }
}
