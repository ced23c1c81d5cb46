//! `SenderService`.

use parlance_proto::v1;
use parlance_tests::Caller;
use parlance_tests::make::{self, Pair, phone, sms};
use tonic::Code;

fn at(address: &str) -> v1::Sender {
    v1::Sender {
        channel: v1::Channel::Sms.into(),
        address: address.to_owned(),
        provider: "simulator".to_owned(),
        ..Default::default()
    }
}

async fn create(t: &Caller, sender: v1::Sender) -> v1::Sender {
    t.ok(v1::CreateSenderRequest {
        sender: Some(sender),
    })
    .await
}

fn edit(id: &str, paths: &[&str], change: impl FnOnce(&mut v1::Sender)) -> v1::UpdateSenderRequest {
    let mut sender = v1::Sender {
        id: id.to_owned(),
        ..Default::default()
    };
    change(&mut sender);
    v1::UpdateSenderRequest {
        sender: Some(sender),
        update_mask: make::mask(paths),
    }
}

fn get(id: &str) -> v1::GetSenderRequest {
    v1::GetSenderRequest { id: id.to_owned() }
}

on_both! {
    async fn settable_fields_are_stored_and_the_others_are_assigned(t: Caller) {
        let address = make::mail_addresses().ours;
        let made = create(&t, v1::Sender {
            id: "x".to_owned(),
            owner: "another owner".to_owned(),
            channel: v1::Channel::Email.into(),
            status: v1::SenderStatus::Paused.into(),
            segments_per_second: 7,
            default_expiry: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
            reply_domain: "Reply.EXAMPLE.com".to_owned(),
            created_at: Some(make::at(7)),
            updated_at: Some(make::at(7)),
            etag: "7".to_owned(),
            ..at(&address.replace("example", "EXAMPLE"))
        }).await;
        let expected = v1::Sender {
            id: made.id.clone(),
            owner: t.owner().to_owned(),
            channel: v1::Channel::Email.into(),
            address,
            provider: "simulator".to_owned(),
            credentials: String::new(),
            status: v1::SenderStatus::Paused.into(),
            segments_per_second: 7,
            default_expiry: Some(prost_types::Duration { seconds: 1, nanos: 500_000_000 }),
            reply_domain: "reply.example.com".to_owned(),
            messaging_service: String::new(),
            created_at: made.created_at,
            updated_at: made.created_at,
            etag: made.etag.clone(),
        };
        assert_eq!(made, expected);
        assert!(made.created_at.unwrap().seconds > 7 && !made.etag.is_empty() && made.etag != "7");
        assert_eq!(t.ok(get(&made.id)).await, made);
        let sms = v1::Sender { messaging_service: "MG1".to_owned(), ..at(&phone()) };
        let sms = create(&t, sms).await;
        assert_eq!((sms.status(), sms.messaging_service.as_str()), (v1::SenderStatus::Active, "MG1"));
    }

    async fn an_address_is_unique_in_the_installation(t: Caller) {
        let made = create(&t, at(&phone())).await;
        let again = v1::CreateSenderRequest { sender: Some(at(&made.address)) };
        let refusal = t.refused(again.clone()).await;
        assert_eq!(refusal.code_and_reason(), (Code::AlreadyExists, "SENDER_EXISTS"));
        assert_eq!(refusal.metadata("sender_id"), made.id);
        let foreign = t.other().refused(again).await;
        assert_eq!(foreign.code_and_reason(), (Code::AlreadyExists, "SENDER_EXISTS"));
        assert!(!format!("{foreign:?}").contains(&made.id), "the id is not disclosed to another owner");
    }

    async fn senders_are_listed_in_pages(t: Caller) {
        let mut made = Vec::new();
        for _ in 0..4 {
            made.push(create(&t, at(&phone())).await);
        }
        let mail = create(&t, v1::Sender { channel: v1::Channel::Email.into(), ..at(&make::mail_addresses().ours) }).await;
        made.push(mail.clone());
        create(&t.other(), at(&phone())).await;

        let mut request = v1::ListSendersRequest { page_size: 2, ..Default::default() };
        let mut listed = Vec::new();
        let mut lengths = Vec::new();
        loop {
            let page = t.ok(request.clone()).await;
            lengths.push(page.senders.len());
            listed.extend(page.senders);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(lengths, [2, 2, 1]);
        assert_eq!(listed, made);
        let of = |channel: v1::Channel| v1::ListSendersRequest { channel: channel.into(), ..Default::default() };
        assert_eq!(t.ok(of(v1::Channel::Email)).await.senders, [mail]);
        assert_eq!(t.ok(of(v1::Channel::Sms)).await.senders, made[..4]);

        let first = t.ok(v1::ListSendersRequest { page_size: 2, ..Default::default() }).await;
        let token = first.next_page_token;
        let other_filter = v1::ListSendersRequest { page_token: token.clone(), ..of(v1::Channel::Sms) };
        assert_eq!(t.refused(other_filter).await.fields, ["page_token"]);
        let foreign = v1::ListSendersRequest { page_token: token, ..Default::default() };
        assert_eq!(t.other().refused(foreign).await.fields, ["page_token"]);
    }

    async fn only_fields_in_the_mask_change(t: Caller) {
        let made = create(&t, v1::Sender { segments_per_second: 7, ..at(&phone()) }).await;
        let changed = t.ok(edit(&made.id, &["status", "default_expiry"], |s| {
            s.status = v1::SenderStatus::Paused.into();
            s.default_expiry = Some(prost_types::Duration { seconds: 60, nanos: 0 });
            s.segments_per_second = 9;
        })).await;
        let expected = v1::Sender {
            status: v1::SenderStatus::Paused.into(),
            default_expiry: Some(prost_types::Duration { seconds: 60, nanos: 0 }),
            updated_at: changed.updated_at,
            etag: changed.etag.clone(),
            ..made.clone()
        };
        assert_eq!(changed, expected);
        assert_ne!(changed.etag, made.etag, "every edit changes the etag");
        let cleared = t.ok(edit(&made.id, &["segments_per_second", "default_expiry"], |_| ())).await;
        assert_eq!((cleared.segments_per_second, cleared.default_expiry), (0, None));
        assert_eq!(t.ok(get(&made.id)).await, cleared);

        let stale = edit(&made.id, &[], |s| { s.etag = made.etag.clone(); s.segments_per_second = 1; });
        assert_eq!(t.refused(stale).await.code_and_reason(), (Code::Aborted, "ETAG_MISMATCH"));
        t.ok(edit(&made.id, &[], |s| { s.etag = cleared.etag.clone(); s.segments_per_second = 1; })).await;
    }

    async fn a_sender_with_pending_messages_cannot_be_deleted(t: Caller) {
        let pair = t.pair().await;
        let sender = t.ok(v1::ListSendersRequest::default()).await.senders.remove(0);
        let message = t.ok(sms(&pair, "hi")).await;
        let delete = v1::DeleteSenderRequest { id: sender.id.clone() };
        let refusal = t.refused(delete.clone()).await;
        assert_eq!(refusal.code_and_reason(), (Code::FailedPrecondition, "SENDER_IN_USE"));
        assert_eq!(refusal.metadata("sender_id"), sender.id);
        t.ok(make::report(&message.id, v1::MessageStatus::Sent)).await;
        t.ok(delete.clone()).await;
        assert_eq!(t.refused(delete).await.code_and_reason(), (Code::NotFound, "SENDER_NOT_FOUND"));
        assert_eq!(t.message(&message.id).await.status(), v1::MessageStatus::Sent, "its messages stay");
        assert_eq!(t.conversation(&message.conversation_id).await.message_count, 1);
        t.other().ok(v1::CreateSenderRequest { sender: Some(at(&pair.ours)) }).await;
    }

    async fn a_deleted_sender_may_be_created_by_another_owner(t: Caller) {
        let pair = t.pair().await;
        let sender = t.ok(v1::ListSendersRequest::default()).await.senders.remove(0);
        let id = t.ok(make::create(&pair)).await.id;
        t.ok(v1::DeleteSenderRequest { id: sender.id }).await;
        create(&t.other(), v1::Sender { status: v1::SenderStatus::Paused.into(), ..at(&pair.ours) }).await;
        assert_eq!(t.refused(make::reply(&id, "hi")).await.code_and_reason(), (Code::PermissionDenied, "SENDER_OF_ANOTHER"));
        let theirs = t.other().ok(sms(&Pair { theirs: phone(), ..pair }, "hi")).await;
        assert_eq!(theirs.sequence, 1);
    }
}
