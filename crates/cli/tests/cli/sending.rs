//! Tests of `send` and `reply`.

use crate::harness::{OURS, THEIRS, ephemeral, object, objects, run, run_at, send, text};

#[tokio::test]
async fn a_message_is_followed_until_it_is_delivered() {
    let service = ephemeral().await;
    let words = ["send", "--from", OURS, "--to", THEIRS, "--wait", "Hello"];
    let printed = run(&service, &words).await;
    let position = |word: &str| {
        printed
            .find(word)
            .unwrap_or_else(|| panic!("{word}: {printed}"))
    };
    assert!(printed.starts_with("message       "), "{printed}");
    assert!(position("\nconversation  ") < position("\nstatus        PENDING"));
    assert!(position("PENDING") < position("DELIVERED"));
    // SENT is missing if the delivery report was faster than the outcome of the hand-over.
    if let Some(sent) = printed.find("SENT") {
        assert!(position("PENDING") < sent && sent < position("DELIVERED"));
    }

    let steps = objects(&service, &words).await;
    let statuses: Vec<_> = steps.iter().map(|step| text(step, "status")).collect();
    assert_eq!(statuses.first(), Some(&"MESSAGE_STATUS_PENDING"));
    assert_eq!(statuses.last(), Some(&"MESSAGE_STATUS_DELIVERED"));
    assert!(steps.iter().all(|step| step["id"] == steps[0]["id"]));
}

#[tokio::test]
async fn a_failed_delivery_sets_the_exit_code() {
    let service = ephemeral().await;
    // A test recipient that the simulator rejects.
    let words = [
        "send",
        "--from",
        OURS,
        "--to",
        "+15005550105",
        "--wait",
        "Hello",
    ];
    let finished = run_at(&service.grpc_url(), &words).await;
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stdout.contains("FAILED"), "{finished:?}");
    assert!(
        finished.stderr.contains("the message is FAILED: "),
        "{finished:?}"
    );
}

#[tokio::test]
async fn the_channel_follows_from_the_target() {
    let service = ephemeral().await;
    let mail = [
        "send",
        "--from",
        "us@example.com",
        "--to",
        "ana@example.com",
    ];
    let mail = [&mail[..], &["--subject", "Hi", "--user", "ana", "Hello"]].concat();
    let mail = object(&service, &mail).await;
    assert_eq!(text(&mail, "channel"), "CHANNEL_EMAIL");
    assert_eq!(text(&mail, "subject"), "Hi");

    let chat = [
        "send",
        "--chat",
        "session-1",
        "--role",
        "assistant",
        "Hello",
    ];
    let chat = object(&service, &[&chat[..], &["--wait"]].concat()).await;
    assert_eq!(text(&chat, "channel"), "CHANNEL_CHAT");
    assert_eq!(text(&chat, "role"), "ROLE_ASSISTANT");
    assert_eq!(text(&chat, "status"), "MESSAGE_STATUS_DELIVERED");

    let conversation = text(&mail, "conversationId");
    let again = object(&service, &["send", "--conversation", conversation, "More"]).await;
    assert_eq!(text(&again, "channel"), "CHANNEL_EMAIL");
    assert_eq!(text(&again, "toAddress"), "ana@example.com");
}

#[tokio::test]
async fn a_scheduled_message_is_sent_once_per_request_id() {
    let service = ephemeral().await;
    let words = [
        "send",
        "--from",
        OURS,
        "--to",
        THEIRS,
        "--at",
        "2100-01-01T10:00:00+01:00",
    ];
    let words = [&words[..], &["--request-id", "order-17", "Hello"]].concat();
    let first = object(&service, &words).await;
    assert_eq!(text(&first, "status"), "MESSAGE_STATUS_SCHEDULED");
    assert_eq!(text(&first, "sendAt"), "2100-01-01T09:00:00Z");
    assert_eq!(object(&service, &words).await["id"], first["id"]);
}

#[tokio::test]
async fn a_reply_comes_from_the_customer() {
    let service = ephemeral().await;
    let sent = send(&service, "Hello").await;
    let words = ["reply", "--to", OURS, "--from", THEIRS, "Thank you"];
    let reply = object(&service, &words).await;
    assert_eq!(text(&reply, "direction"), "DIRECTION_INBOUND");
    assert_eq!(text(&reply, "fromAddress"), THEIRS);
    assert_eq!(reply["conversationId"], sent["conversationId"]);

    let unread = objects(&service, &["list", "--unread"]).await;
    assert_eq!(unread[0]["id"], sent["conversationId"]);
    let listed = run(&service, &["list", text(&sent, "conversationId")]).await;
    let line = listed.lines().find(|line| line.ends_with("Thank you"));
    let line = line.unwrap_or_else(|| panic!("{listed}"));
    assert!(line.contains("\u{2190}  RECEIVED"), "{line}");
}

#[tokio::test]
async fn owners_are_isolated() {
    let service = ephemeral().await;
    let words = ["send", "--chat", "c", "--owner", "acme", "Hello"];
    let sent = object(&service, &words).await;
    assert!(objects(&service, &["list"]).await.is_empty());
    let listed = object(&service, &["list", "--owner", "acme"]).await;
    assert_eq!(listed["id"], sent["conversationId"]);
}
