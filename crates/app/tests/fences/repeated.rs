//! A client may repeat a request because the first response was lost, and the fence may still be held. The second
//! response must not be sent before the keys were invalidated again.

use parlance_app::conversations::ConversationEdit;
use parlance_app::delivery::CancelMessage;
use parlance_app::messages::{MessageEdit, MessageRef, StatusReport};
use parlance_domain::Json;
use parlance_domain::message::ReportStatus;

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

#[tokio::test]
async fn a_report_an_edit_and_a_cancellation() {
    let world = World::new().await;
    let later = world.app.now().plus(std::time::Duration::from_hours(1));
    let canceled = world.send_under("later", Some(later)).await;
    let sent = world.send().await;
    let talk = sent.conversation_id;
    let edit = MessageEdit {
        id: canceled.id,
        etag: None,
        metadata: Some(Json::from_text("{\"a\":1}".to_owned())),
        body: None,
        send_at: None,
        expires_at: None,
    };
    let report = StatusReport {
        which: MessageRef::Id(sent.id),
        status: ReportStatus::Delivered,
        error: None,
        occurred_at: None,
    };
    let cancel = CancelMessage { id: canceled.id };
    let (app, owner) = (&world.app, &world.owner);
    app.edit_message(owner, edit.clone()).await.unwrap();
    world.clear_fenced().await;
    app.edit_message(owner, edit).await.unwrap();
    let expected = shown([message(canceled.id), newest(talk)]);
    assert_eq!(world.fenced().await, expected);
    app.cancel_message(owner, cancel).await.unwrap();
    world.clear_fenced().await;
    app.cancel_message(owner, cancel).await.unwrap();
    assert_eq!(world.fenced().await, expected);
    app.report_status(owner, report.clone()).await.unwrap();
    world.clear_fenced().await;
    app.report_status(owner, report).await.unwrap();
    assert_eq!(
        world.fenced().await,
        shown([message(sent.id), newest(talk)])
    );
}

#[tokio::test]
async fn marks_and_edits_of_a_conversation() {
    let world = World::new().await;
    let received = world.receive(None, "p1").await;
    let (app, owner, talk) = (&world.app, &world.owner, received.conversation_id);
    let edit = ConversationEdit {
        id: talk,
        etag: None,
        user: None,
        title: Some("new".to_owned()),
        status: None,
        metadata: None,
        external_id: None,
    };
    let alone = shown([conversation(talk)]);
    for again in [false, true] {
        world.clear_fenced().await;
        app.mark_as_read(owner, talk, None).await.unwrap();
        assert_eq!(world.fenced().await, alone, "read, again: {again}");
    }
    for again in [false, true] {
        app.mark_as_unread(owner, talk).await.unwrap();
        assert_eq!(world.fenced().await, alone, "unread, again: {again}");
    }
    for again in [false, true] {
        app.edit_conversation(owner, edit.clone()).await.unwrap();
        assert_eq!(world.fenced().await, alone, "edited, again: {again}");
    }
    // Without an inbound message there is nothing to mark.
    let chat = world.create("chat").await;
    world.clear_fenced().await;
    assert_eq!(world.create("chat").await, chat);
    assert_eq!(
        world.fenced().await,
        shown([]),
        "nothing can be cached for a new conversation"
    );
    app.mark_as_unread(owner, chat.id).await.unwrap();
    assert_eq!(world.fenced().await, shown([conversation(chat.id)]));
}
