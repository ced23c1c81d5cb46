//! `parlance watch`.

use parlance_proto::v1::WatchEventsRequest;

use super::follow::{Followed, Follower};
use super::service::Service;
use crate::arguments::Watch;
use crate::failure::Failure;
use crate::show::{self, Screen};

/// Runs until Ctrl-C, which is a success, or until standard output is closed.
pub(super) async fn run(
    arguments: &Watch,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let request = WatchEventsRequest {
        conversation_id: arguments.conversation.clone().unwrap_or_default(),
        user: arguments.user.clone().unwrap_or_default(),
        types: Vec::new(),
        cursor: arguments.since.clone().unwrap_or_default(),
    };
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut follower = tokio::select! {
        biased;
        stop = &mut interrupted => return Ok(stop?),
        begun = Follower::begin(service, request) => begun?,
    };
    screen
        .output()
        .note("watching (times in UTC); press Ctrl-C to stop");
    while !screen.output().is_closed() {
        let followed = tokio::select! {
            biased;
            stop = &mut interrupted => { stop?; break }
            followed = follower.next(screen.output()) => followed?,
        };
        if let Followed::Event(event) = followed {
            screen.show(&[*event], show::event::lines)?;
        }
    }
    if !follower.cursor().is_empty() {
        let cursor = follower.cursor();
        screen
            .output()
            .note(&format!("to continue from here: --since {cursor}"));
    }
    Ok(())
}
