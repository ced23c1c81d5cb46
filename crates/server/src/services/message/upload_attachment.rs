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
    let (owner, pieces) = owner::split(request).map_err(status::of)?;
    let upload = receive(app, &owner, pieces).await?;
    Ok(Response::new(convert::message::upload_to_proto(upload)))
}

/// Whatever ends this before its last line, the caller's leaving too, drops the upload, which discards it.
async fn receive(
    app: &App,
    owner: &Owner,
    mut pieces: Streaming<v1::UploadAttachmentRequest>,
) -> Result<FinishedUpload, Status> {
    let nothing = || {
        status::of(Error::invalid_field(
            "data",
            "the file is empty; send its content",
        ))
    };
    let first = pieces.message().await?.ok_or_else(nothing)?;
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
    while let Some(piece) = pieces.message().await? {
        let data = convert::message::upload_chunk(piece).map_err(status::of)?;
        empty &= data.is_empty();
        upload.append(data).await.map_err(status::of)?;
    }
    if empty {
        return Err(nothing());
    }
    upload.finish().await.map_err(status::of)
}
