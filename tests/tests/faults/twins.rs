//! Two services with one Postgres behave as one.

use futures_util::future::join_all;
use parlance_proto::v1::{self, EventType, SendMessageRequest as Send};
use parlance_testkit::Postgres;
use parlance_tests::make::{self, chat, inbound_sms, sms};
use parlance_tests::{Caller, Service};
use tonic::Code;

struct Twins {
    a: Caller,
    b: Caller,
    _services: [Service; 2],
}

async fn twins() -> Twins {
    let database = Postgres::shared().create_database().await;
    let (a, b) = tokio::join!(
        Service::over(&database.url, |b| b),
        Service::over(&database.url, |b| b)
    );
    Twins {
        a: Caller::as_owner(&a, "acme"),
        b: Caller::as_owner(&b, "acme"),
        _services: [a, b],
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_at_one_instance_are_read_and_watched_at_the_other() {
    let Twins { a, b, _services } = twins().await;
    let mut events = b.watch_from("").await;
    let mut expected = Vec::new();
    for n in 0..40 {
        let message = if n % 2 == 0 {
            a.ok(chat("talk", &n.to_string())).await
        } else {
            b.ok(chat("talk", &n.to_string())).await
        };
        assert_eq!(b.message(&message.id).await, message);
        assert_eq!(a.message(&message.id).await, message);
        expected.push(message);
    }
    let received = events.take(41).await;
    assert_eq!(received[0].r#type(), EventType::ConversationCreated);
    let messages: Vec<v1::Message> = received
        .iter()
        .filter_map(|event| event.message.clone())
        .collect();
    assert_eq!(messages, expected);
    // A cursor is valid at every instance.
    for from in [0, 17, 39] {
        assert_eq!(
            a.watch_from(&received[from].cursor)
                .await
                .take(40 - from)
                .await,
            received[from + 1..]
        );
    }

    a.ok(make::delete_message(&expected[0].id)).await;
    assert_eq!(
        b.refused(make::get_message(&expected[0].id)).await.code,
        Code::NotFound
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_to_both_instances_make_one_sequence() {
    let Twins { a, b, _services } = twins().await;
    let pair = a.pair().await;
    let mut events = a.watch_from("0").await;
    let sends = (0..100).map(|n| {
        let (caller, pair) = (if n % 2 == 0 { &a } else { &b }, pair.clone());
        async move { caller.ok_retrying(sms(&pair, &n.to_string())).await }
    });
    let messages = join_all(sends).await;
    let mut sequences: Vec<i64> = messages.iter().map(|message| message.sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=100).collect::<Vec<i64>>());
    let stored = b.all_messages(&messages[0].conversation_id).await;
    assert_eq!(stored.len(), 100);
    let received: Vec<v1::Message> = events
        .take(101)
        .await
        .into_iter()
        .filter_map(|event| event.message)
        .collect();
    assert_eq!(received, stored, "the feed has the order of the sequence");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_to_both_instances_creates_one_message() {
    let Twins { a, b, _services } = twins().await;
    let pair = a.pair().await;
    for round in 0..8 {
        let request = Send {
            request_id: format!("request-{round}"),
            ..if round % 2 == 0 {
                sms(&pair, "hi")
            } else {
                chat("", "hi")
            }
        };
        let replies =
            join_all((0..32).map(|n| [&a, &b][n % 2].ok_or_replayed_retrying(request.clone())))
                .await;
        assert_eq!(replies.iter().filter(|(_, replayed)| !replayed).count(), 1);
        assert!(replies.iter().all(|(message, _)| *message == replies[0].0));
    }
    let received = inbound_sms(&pair, "hi");
    let replies = join_all((0..32).map(|n| [&a, &b][n % 2].ok_retrying(received.clone()))).await;
    assert!(replies.iter().all(|message| *message == replies[0]));
    let all = v1::ListConversationsRequest {
        with_total: true,
        ..Default::default()
    };
    assert_eq!(
        b.ok(all).await.total_size,
        5,
        "one of the pair, and four chats"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_concurrent_edits_at_both_instances_succeeds() {
    let Twins { a, b, _services } = twins().await;
    let mut made = a.ok(make::create_chat("")).await;
    for round in 0..10 {
        let edit = |title: &str| {
            make::edit(&made.id, &["title"], |c| {
                c.etag = made.etag.clone();
                c.title = format!("{title} {round}");
            })
        };
        let (one, two) = tokio::join!(a.call(edit("a")), b.call(edit("b")));
        assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
        made = one.or(two).unwrap();
        assert_eq!(a.conversation(&made.id).await, made);
        assert_eq!(b.conversation(&made.id).await, made);
    }
    assert_eq!(made.version, 11);
}
