//! `SenderService`.

use parlance_proto::v1;
use parlance_tests::Caller;
use parlance_tests::make;
use tonic::Code;

use super::{
    INVALID_DURATIONS, INVALID_IDS, INVALID_MAIL_ADDRESSES, INVALID_PHONES, UNKNOWN_ID,
    assert_accepted, assert_rejected, long,
};

fn sms(change: impl FnOnce(&mut v1::Sender)) -> v1::CreateSenderRequest {
    let mut sender = v1::Sender {
        channel: v1::Channel::Sms.into(),
        address: make::phone(),
        provider: "simulator".to_owned(),
        ..Default::default()
    };
    change(&mut sender);
    v1::CreateSenderRequest {
        sender: Some(sender),
    }
}

fn email(change: impl FnOnce(&mut v1::Sender)) -> v1::CreateSenderRequest {
    sms(|s| {
        s.channel = v1::Channel::Email.into();
        s.address = make::mail_addresses().ours;
        change(s);
    })
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

const INVALID_DOMAINS: [&str; 6] = [
    "x",
    "a b.com",
    "@example.com",
    "a@example.com",
    "1.2.3.4",
    "exa\0mple.com",
];

on_both! {
    async fn create_sender(t: Caller) {
        let mut table = vec![
            (v1::CreateSenderRequest::default(), vec!["sender"]),
            (sms(|s| s.channel = 0), vec!["sender.channel"]),
            (sms(|s| s.channel = v1::Channel::Mms.into()), vec!["sender.channel"]),
            (sms(|s| s.channel = v1::Channel::Chat.into()), vec!["sender.channel"]),
            (sms(|s| s.channel = 99), vec!["sender.channel"]),
            (sms(|s| s.provider = long(65)), vec!["sender.provider"]),
            (sms(|s| s.credentials = long(256)), vec!["sender.credentials"]),
            (sms(|s| s.status = 9), vec!["sender.status"]),
            (sms(|s| s.segments_per_second = -1), vec!["sender.segments_per_second"]),
            (sms(|s| s.reply_domain = "reply.example.com".to_owned()), vec!["sender.reply_domain"]),
            (sms(|s| s.messaging_service = long(65)), vec!["sender.messaging_service"]),
            (sms(|s| s.messaging_service = "MG/1".to_owned()), vec!["sender.messaging_service"]),
            (email(|s| s.messaging_service = "MG1".to_owned()), vec!["sender.messaging_service"]),
            (
                email(|s| {
                    s.address = "x".to_owned();
                    s.provider = "\0".to_owned();
                    s.credentials = "\0".to_owned();
                    s.status = -1;
                    s.segments_per_second = i32::MIN;
                    s.default_expiry = Some(INVALID_DURATIONS[0]);
                    s.reply_domain = "x".to_owned();
                }),
                vec![
                    "sender.address", "sender.provider", "sender.credentials", "sender.status", "sender.segments_per_second",
                    "sender.default_expiry", "sender.reply_domain",
                ],
            ),
        ];
        for phone in INVALID_PHONES {
            table.push((sms(|s| s.address = phone.to_owned()), vec!["sender.address"]));
        }
        for address in INVALID_MAIL_ADDRESSES {
            table.push((email(|s| s.address = address.to_owned()), vec!["sender.address"]));
        }
        for span in INVALID_DURATIONS {
            table.push((sms(|s| s.default_expiry = Some(span)), vec!["sender.default_expiry"]));
        }
        for domain in INVALID_DOMAINS {
            table.push((email(|s| s.reply_domain = domain.to_owned()), vec!["sender.reply_domain"]));
        }
        assert_rejected(&t, table).await;
        assert_accepted(&t, vec![
            sms(|s| s.segments_per_second = i32::MAX),
            sms(|s| s.default_expiry = Some(prost_types::Duration { seconds: 315_576_000_000, nanos: 0 })),
            sms(|s| s.default_expiry = Some(prost_types::Duration { seconds: 0, nanos: 1_000 })),
            email(|s| s.reply_domain = "Reply.Example.com".to_owned()),
        ]).await;
    }

    async fn unknown_provider_and_credentials_are_rejected(t: Caller) {
        let unknown = t.refused(sms(|s| s.provider = "unknown".to_owned())).await;
        assert_eq!(unknown.code_and_reason(), (Code::FailedPrecondition, "NO_PROVIDER"));
        let no_credentials = t.refused(sms(|s| s.credentials = "nothing".to_owned())).await;
        assert_eq!(no_credentials.code_and_reason(), (Code::FailedPrecondition, "NO_CREDENTIALS"));
        let id = t.ok(sms(|_| ())).await.id;
        let unknown = t.refused(edit(&id, &[], |s| s.provider = "unknown".to_owned())).await;
        assert_eq!(unknown.code_and_reason(), (Code::FailedPrecondition, "NO_PROVIDER"));
        let no_credentials = t.refused(edit(&id, &[], |s| s.credentials = "nothing".to_owned())).await;
        assert_eq!(no_credentials.code_and_reason(), (Code::FailedPrecondition, "NO_CREDENTIALS"));
    }

    async fn update_sender(t: Caller) {
        let mut table = vec![
            (v1::UpdateSenderRequest::default(), vec!["sender"]),
            (v1::UpdateSenderRequest { sender: None, update_mask: make::mask(&["x"]) }, vec!["sender", "update_mask"]),
            (edit("", &[], |_| ()), vec!["sender.id"]),
            (edit(UNKNOWN_ID, &["address"], |_| ()), vec!["update_mask"]),
            (edit(UNKNOWN_ID, &["channel", "status"], |s| s.status = 1), vec!["update_mask"]),
            (edit(UNKNOWN_ID, &["*"], |_| ()), vec!["update_mask"]),
            (edit(UNKNOWN_ID, &["status"], |_| ()), vec!["sender.status"]),
            (
                edit("x", &["no", "provider", "credentials", "status", "segments_per_second", "default_expiry", "reply_domain"], |s| {
                    s.provider = long(65);
                    s.credentials = long(256);
                    s.status = 9;
                    s.segments_per_second = -1;
                    s.default_expiry = Some(INVALID_DURATIONS[1]);
                    s.reply_domain = "x".to_owned();
                    s.etag = long(65);
                }),
                vec![
                    "update_mask", "sender.id", "sender.provider", "sender.credentials", "sender.status",
                    "sender.segments_per_second", "sender.default_expiry", "sender.reply_domain", "sender.etag",
                ],
            ),
        ];
        for id in INVALID_IDS {
            table.push((edit(id, &[], |_| ()), vec!["sender.id"]));
        }
        for span in INVALID_DURATIONS {
            table.push((edit(UNKNOWN_ID, &[], |s| s.default_expiry = Some(span)), vec!["sender.default_expiry"]));
        }
        for domain in INVALID_DOMAINS {
            table.push((edit(UNKNOWN_ID, &[], |s| s.reply_domain = domain.to_owned()), vec!["sender.reply_domain"]));
        }
        assert_rejected(&t, table).await;

        let id = t.ok(sms(|_| ())).await.id;
        assert_rejected(&t, vec![
            (edit(&id, &[], |s| s.reply_domain = "reply.example.com".to_owned()), vec!["sender.reply_domain"]),
        ]).await;
        let id = t.ok(email(|_| ())).await.id;
        assert_rejected(&t, vec![
            (edit(&id, &[], |s| s.messaging_service = "MG1".to_owned()), vec!["sender.messaging_service"]),
        ]).await;
    }

    async fn get_delete_and_list_sender(t: Caller) {
        let get = |id: &str| v1::GetSenderRequest { id: id.to_owned() };
        let delete = |id: &str| v1::DeleteSenderRequest { id: id.to_owned() };
        let list = v1::ListSendersRequest::default;
        assert_rejected(&t, [""].into_iter().chain(INVALID_IDS).map(|id| (get(id), vec!["id"])).collect()).await;
        assert_rejected(&t, [""].into_iter().chain(INVALID_IDS).map(|id| (delete(id), vec!["id"])).collect()).await;
        assert_rejected(&t, vec![
            (v1::ListSendersRequest { channel: v1::Channel::Mms.into(), ..list() }, vec!["channel"]),
            (v1::ListSendersRequest { channel: v1::Channel::Chat.into(), ..list() }, vec!["channel"]),
            (v1::ListSendersRequest { page_token: "x".to_owned(), ..list() }, vec!["page_token"]),
            (
                v1::ListSendersRequest { channel: 99, page_size: -1, page_token: long(1_025) },
                vec!["channel", "page_size", "page_token"],
            ),
        ]).await;
    }
}
