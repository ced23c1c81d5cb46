//! `WatchEvents`.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use parlance_app::events::Watcher;
use parlance_app::{App, Result};
use parlance_proto::v1;
use tonic::{Request, Response, Status};

use crate::services::owner;
use crate::{convert, status};

/// Stream of events until the watcher ends or the client cancels the call.
pub(super) type EventStream = BoxStream<'static, std::result::Result<v1::Event, Status>>;

pub(super) async fn handle(
    app: &Arc<App>,
    request: Request<v1::WatchEventsRequest>,
) -> Result<Response<EventStream>> {
    let (owner, request) = owner::split(request)?;
    let watch = convert::event::watch(request)?;
    let watcher = app.watch(&owner, watch).await?;
    Ok(Response::new(stream::unfold(watcher, next).boxed()))
}

type NextEvent = Option<(std::result::Result<v1::Event, Status>, Watcher)>;

async fn next(mut watcher: Watcher) -> NextEvent {
    let watched = watcher.next().await?;
    Some((
        watched.map(convert::event::to_proto).map_err(status::of),
        watcher,
    ))
}
