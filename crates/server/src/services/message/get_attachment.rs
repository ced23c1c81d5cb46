//! `GetAttachment`.

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use parlance_app::attachments::AttachmentReader;
use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response, Status};

use crate::services::owner;
use crate::{convert, status};

/// Stream of the content in chunks; each is read when the previous one has been sent.
pub(super) type ChunkStream =
    BoxStream<'static, std::result::Result<v1::GetAttachmentResponse, Status>>;

pub(super) async fn handle(
    app: &App,
    request: Request<v1::GetAttachmentRequest>,
) -> Result<Response<ChunkStream>> {
    let (owner, request) = owner::split(request)?;
    let (message, attachment) = convert::message::attachment(request)?;
    let reader = app.open_attachment(&owner, message, attachment).await?;
    Ok(Response::new(stream::try_unfold(reader, next).boxed()))
}

type NextChunk = Option<(v1::GetAttachmentResponse, AttachmentReader)>;

async fn next(mut reader: AttachmentReader) -> std::result::Result<NextChunk, Status> {
    let chunk = reader.next().await.map_err(status::of)?;
    Ok(chunk.map(|data| (v1::GetAttachmentResponse { data: data.into() }, reader)))
}
