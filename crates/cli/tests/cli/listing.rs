//! Tests of `list`, `stats` and `get`.

use crate::harness::{LONG, OURS, THEIRS, ephemeral, object, objects, run, run_at, send, text};

#[tokio::test]
async fn conversations_are_a_table_or_objects() {
    let service = ephemeral().await;
    let sent = send(&service, "Hello").await;
    run(
        &service,
        &["send", "--chat", "session-1", "--user", "ana", "Hi"],
    )
    .await;

    let table = run(&service, &["list"]).await;
    let lines: Vec<_> = table.lines().collect();
    let [head, chat, sms] = lines[..] else {
        panic!("{table}")
    };
    assert!(
        head.starts_with("ID ") && head.ends_with("LAST (UTC)"),
        "{head}"
    );
    assert!(
        chat.contains("CHAT") && chat.contains("session-1"),
        "{chat}"
    );
    assert!(sms.starts_with(text(&sent, "conversationId")), "{sms}");
    assert!(sms.contains(OURS) && sms.contains(THEIRS), "{sms}");
    assert!(
        !table.contains('\u{1b}'),
        "no colours outside of a terminal"
    );

    for (filter, expected) in [
        (&["--channel", "sms"][..], 1),
        (&["--user", "ana"], 1),
        (&["--user", "unknown"], 0),
        (&["--unread"], 0),
        (&["--status", "active"], 2),
        (&["--status", "closed"], 0),
        (&["--limit", "1"], 1),
    ] {
        let words = [&["list"], filter].concat();
        assert_eq!(objects(&service, &words).await.len(), expected, "{words:?}");
    }
}

#[tokio::test]
async fn stats_counts_conversations_and_messages() {
    let service = ephemeral().await;
    for user in ["ana", "bob"] {
        run(&service, &["send", "--chat", user, "--user", user, "Hi"]).await;
    }
    let printed = run(&service, &["stats"]).await;
    assert!(printed.starts_with("conversations  2\n"), "{printed}");
    assert!(
        printed.ends_with("               2  CHAT  inbound  DELIVERED\n"),
        "{printed}"
    );
    let stats = &objects(&service, &["stats", "--user", "ana"]).await[0];
    assert_eq!(text(stats, "messageCount"), "1");
    assert_eq!(text(&stats["messagesBy"][0], "count"), "1");
    assert_eq!(
        objects(&service, &["stats", "--user", "eve"]).await[0]["messagesBy"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn the_last_messages_are_listed_with_the_oldest_first() {
    let service = ephemeral().await;
    let mut last = send(&service, "one").await;
    for body in ["two", "three\n\u{1b}[2Jlines"] {
        last = send(&service, body).await;
    }
    let id = text(&last, "conversationId");
    let numbers = |listed: Vec<serde_json::Value>| -> Vec<_> {
        listed
            .iter()
            .map(|it| text(it, "sequence").to_owned())
            .collect()
    };
    assert_eq!(
        numbers(objects(&service, &["list", id]).await),
        ["1", "2", "3"]
    );

    let two = run_at(&service.grpc_url(), &["list", id, "--limit", "2"]).await;
    assert!(
        two.stdout.lines().nth(1).unwrap().ends_with("two"),
        "{two:?}"
    );
    assert!(two.stdout.ends_with("three  [2Jlines\n"), "{two:?}");
    assert!(
        two.stderr
            .contains("more results are available; increase --limit"),
        "{two:?}"
    );
}

#[tokio::test]
async fn get_shows_a_message_with_its_events_or_a_conversation() {
    let service = ephemeral().await;
    let sent = send(&service, "Hello").await;
    let (id, conversation) = (text(&sent, "id"), text(&sent, "conversationId"));
    let card = parlance_testkit::eventually(LONG, async || {
        let card = run(&service, &["get", id]).await;
        card.contains("report").then_some(card)
    });
    let card = card.await;
    for part in [
        id,
        conversation,
        "attempt 1  ",
        "DELIVERED",
        "Hello",
        "simulator",
    ] {
        assert!(card.contains(part), "{part}: {card}");
    }
    let [message, events] = &objects(&service, &["get", id]).await[..] else {
        panic!("a message and its events")
    };
    assert_eq!(text(message, "status"), "MESSAGE_STATUS_DELIVERED");
    assert_eq!(text(&events["events"][0], "kind"), "attempt");

    let shown = run(&service, &["get", conversation]).await;
    assert!(
        shown.starts_with(&format!("conversation  {conversation}\n")),
        "{shown}"
    );
    let shown = object(&service, &["get", conversation]).await;
    assert_eq!(text(&shown, "participantTo"), THEIRS);
}
