//! A client may repeat a request because the first response was lost, and the fence may still be held. The second
//! response must not be sent before the keys were invalidated again.

use std::collections::BTreeSet;

use parlance_app::conversations::ConversationEdit;
use parlance_app::delivery::CancelMessage;
use parlance_app::messages::{MessageEdit, MessageRef, StatusReport};
use parlance_domain::message::ReportStatus;
use parlance_domain::{ConversationId, Json, MessageId, Timestamp};

use crate::support::{World, conversation, message, newest, shown};

#[tokio::test]
async fn a_send_under_its_request_id() {
    let world = World::new().await;
    let sent = world.send().await;
    world.clear_fenced().await;
    assert_eq!(world.send().await, sent);
    let talk = sent.conversation_id;
    let expected = shown([message(sent.id), conversation(talk), newest(talk)]);
    assert_eq!(world.fenced().await, expected);
}

#[tokio::test]
async fn a_message_received_twice() {
    let world = World::new().await;
    let received = world.receive(Some("request"), "p1").await;
    world.clear_fenced().await;
    let talk = received.conversation_id;
    let expected = shown([message(received.id), conversation(talk), newest(talk)]);
    assert_eq!(world.receive(None, "p1").await, received);
    assert_eq!(world.fenced().await, expected);
    assert_eq!(world.receive(Some("request"), "p2").await, received);
    assert_eq!(world.fenced().await, expected);
}

/// A use case that changes a stored record.
#[derive(Debug, Clone, Copy)]
enum UseCase {
    EditMessage,
    CancelMessage,
    ReportStatus,
    MarkAsRead,
    MarkAsUnread,
    EditConversation,
}

impl UseCase {
    const ALL: [Self; 6] = [
        Self::EditMessage,
        Self::CancelMessage,
        Self::ReportStatus,
        Self::MarkAsRead,
        Self::MarkAsUnread,
        Self::EditConversation,
    ];

    /// Runs it with the same request each time; returns the version of the record.
    async fn run(self, world: &World, records: &Records) -> i64 {
        let (app, owner, talk) = (&world.app, &world.owner, records.talk);
        let metadata = || Some(Json::from_text("{\"a\":1}".to_owned()));
        match self {
            Self::EditMessage => {
                let edit = MessageEdit {
                    id: records.later,
                    etag: None,
                    metadata: metadata(),
                    body: None,
                    send_at: None,
                    expires_at: None,
                };
                app.edit_message(owner, edit).await.unwrap().version
            }
            Self::CancelMessage => {
                let cancel = CancelMessage { id: records.later };
                app.cancel_message(owner, cancel).await.unwrap().version
            }
            Self::ReportStatus => {
                let report = StatusReport {
                    which: MessageRef::Id(records.sent),
                    status: ReportStatus::Delivered,
                    error: None,
                    occurred_at: Some(records.reported_at),
                };
                app.report_status(owner, report).await.unwrap().version
            }
            Self::MarkAsRead => app.mark_as_read(owner, talk, None).await.unwrap().version,
            Self::MarkAsUnread => app.mark_as_unread(owner, talk).await.unwrap().version,
            Self::EditConversation => {
                let edit = ConversationEdit {
                    id: talk,
                    etag: None,
                    user: None,
                    title: None,
                    status: None,
                    metadata: metadata(),
                    external_id: None,
                };
                app.edit_conversation(owner, edit).await.unwrap().version
            }
        }
    }

    /// The keys that it fences.
    fn keys(self, records: &Records) -> BTreeSet<String> {
        let talk = records.talk;
        match self {
            Self::EditMessage | Self::CancelMessage => {
                shown([message(records.later), newest(talk)])
            }
            Self::ReportStatus => shown([message(records.sent), newest(talk)]),
            Self::MarkAsRead | Self::MarkAsUnread | Self::EditConversation => {
                shown([conversation(talk)])
            }
        }
    }
}

/// The records that the use cases change.
struct Records {
    talk: ConversationId,
    sent: MessageId,
    later: MessageId,
    reported_at: Timestamp,
}

#[tokio::test]
async fn every_use_case_invalidates_again_when_it_is_repeated() {
    let world = World::new().await;
    let now = world.app.now();
    let in_an_hour = now.plus(std::time::Duration::from_hours(1));
    let sent = world.send().await;
    world.receive(None, "p1").await;
    let records = Records {
        talk: sent.conversation_id,
        sent: sent.id,
        later: world.send_under("later", Some(in_an_hour)).await.id,
        reported_at: now,
    };
    for use_case in UseCase::ALL {
        world.clear_fenced().await;
        let version = use_case.run(&world, &records).await;
        let expected = use_case.keys(&records);
        assert_eq!(world.fenced().await, expected, "{use_case:?}");
        let again = use_case.run(&world, &records).await;
        assert_eq!(again, version, "{use_case:?} writes once");
        assert_eq!(world.fenced().await, expected, "{use_case:?}, repeated");
    }
}

#[tokio::test]
async fn a_creation_and_a_mark_without_an_inbound_message() {
    let world = World::new().await;
    let chat = world.create("chat").await;
    world.clear_fenced().await;
    assert_eq!(world.create("chat").await, chat);
    assert_eq!(
        world.fenced().await,
        shown([]),
        "nothing can be cached for a new conversation"
    );
    let marked = world.app.mark_as_unread(&world.owner, chat.id).await;
    assert_eq!(marked.unwrap(), chat);
    assert_eq!(world.fenced().await, shown([conversation(chat.id)]));
}
