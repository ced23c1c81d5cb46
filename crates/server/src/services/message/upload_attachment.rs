//! `UploadAttachment`.

use parlance_app::attachments::FinishedUpload;
use parlance_app::{App, Error};
use parlance_domain::Owner;
use parlance_proto::v1;
use tonic::{Request, Response, Status, Streaming};

use crate::services::owner;
use crate::{convert, status};

pub(super) async fn handle(
    app: &App,
    request: Request<Streaming<v1::UploadAttachmentRequest>>,
) -> Result<Response<v1::UploadAttachmentResponse>, Status> {
    let (owner, chunks) = owner::split(request).map_err(status::of)?;
    let upload = receive(app, &owner, chunks).await?;
    Ok(Response::new(convert::message::upload_to_proto(upload)))
}

/// Receives the content. An error, or the client's cancellation, drops the upload, which discards it.
async fn receive(
    app: &App,
    owner: &Owner,
    mut chunks: Streaming<v1::UploadAttachmentRequest>,
) -> Result<FinishedUpload, Status> {
    let empty_file = || {
        status::of(Error::invalid_field(
            "data",
            "the file is empty; send its content",
        ))
    };
    let first = chunks.message().await?.ok_or_else(empty_file)?;
    let convert::message::UploadHeader {
        filename,
        content_type,
        data,
    } = convert::message::upload_header(first, app.limits()).map_err(status::of)?;
    let mut empty = data.is_empty();
    let mut upload = app
        .begin_upload(owner, filename, content_type)
        .await
        .map_err(status::of)?;
    upload.append(data).await.map_err(status::of)?;
    while let Some(chunk) = chunks.message().await? {
        let data = convert::message::upload_chunk(chunk).map_err(status::of)?;
        empty &= data.is_empty();
        upload.append(data).await.map_err(status::of)?;
    }
    if empty {
        return Err(empty_file());
    }
    upload.finish().await.map_err(status::of)
}
