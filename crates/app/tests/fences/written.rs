//! Which keys each write fences.

use parlance_app::conversations::ConversationEdit;
use parlance_app::delivery::CancelMessage;
use parlance_app::messages::{DeleteMessage, MessageEdit, MessageRef, StatusReport};
use parlance_domain::Json;
use parlance_domain::message::ReportStatus;

use crate::support::{World, conversation, generation, message, newest, shown};

#[tokio::test]
async fn added_messages() {
    let world = World::new().await;
    let first = world.send().await;
    let talk = first.conversation_id;
    assert_eq!(
        world.fenced().await,
        shown([newest(talk)]),
        "everything is new"
    );
    world.send_under("second", None).await;
    let both = shown([conversation(talk), newest(talk)]);
    assert_eq!(world.fenced().await, both);
    world.receive(None, "p1").await;
    assert_eq!(world.fenced().await, both);
}

#[tokio::test]
async fn changed_messages() {
    let world = World::new().await;
    let later = world.app.now().plus(std::time::Duration::from_hours(1));
    let sent = world.send_under("later", Some(later)).await;
    let (id, talk) = (sent.id, sent.conversation_id);
    let other = world.send().await;
    world.clear_fenced().await;
    let edit = MessageEdit {
        id,
        etag: None,
        metadata: Some(Json::from_text("{\"a\":1}".to_owned())),
        body: None,
        send_at: None,
        expires_at: None,
    };
    world.app.edit_message(&world.owner, edit).await.unwrap();
    let expected = shown([message(id), newest(talk)]);
    assert_eq!(world.fenced().await, expected);
    let cancel = CancelMessage { id };
    world
        .app
        .cancel_message(&world.owner, cancel)
        .await
        .unwrap();
    assert_eq!(world.fenced().await, expected);
    let report = StatusReport {
        which: MessageRef::Id(other.id),
        status: ReportStatus::Delivered,
        error: None,
        occurred_at: None,
    };
    world.app.report_status(&world.owner, report).await.unwrap();
    assert_eq!(
        world.fenced().await,
        shown([message(other.id), newest(talk)])
    );
    let delete = DeleteMessage { id, etag: None };
    world
        .app
        .delete_message(&world.owner, delete)
        .await
        .unwrap();
    let expected = shown([message(id), conversation(talk), newest(talk)]);
    assert_eq!(world.fenced().await, expected);
}

#[tokio::test]
async fn conversations() {
    let world = World::new().await;
    world.create("chat").await;
    assert_eq!(world.fenced().await, shown([]), "the conversation is new");
    let received = world.receive(None, "p1").await;
    let talk = received.conversation_id;
    world.clear_fenced().await;
    let alone = shown([conversation(talk)]);
    world
        .app
        .mark_as_read(&world.owner, talk, None)
        .await
        .unwrap();
    assert_eq!(world.fenced().await, alone);
    world.app.mark_as_unread(&world.owner, talk).await.unwrap();
    assert_eq!(world.fenced().await, alone);
    let edit = ConversationEdit {
        id: talk,
        etag: None,
        user: Some("eve".to_owned()),
        title: Some("new".to_owned()),
        status: None,
        metadata: None,
        external_id: None,
    };
    world
        .app
        .edit_conversation(&world.owner, edit)
        .await
        .unwrap();
    let both = shown([conversation(talk), generation(Some("eve"))]);
    assert_eq!(
        world.fenced().await,
        both,
        "the generations of the old and the new user"
    );
}

#[tokio::test]
async fn a_conversation_with_its_messages() {
    let world = World::new().await;
    let received = world.receive(None, "p1").await;
    let talk = received.conversation_id;
    world.clear_fenced().await;
    let deleting = world.app.delete_conversation(&world.owner, talk, None);
    deleting.await.unwrap();
    // Deletion takes several transactions, so some keys are recorded repeatedly; only the set matters.
    let fenced = world.fenced_by_any().await;
    let expected = shown([message(received.id), conversation(talk), newest(talk)]);
    assert_eq!(fenced, expected);
}
