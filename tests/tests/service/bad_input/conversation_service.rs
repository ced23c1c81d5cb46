//! `ConversationService`.

use parlance_proto::v1;
use parlance_tests::Caller;
use parlance_tests::make::{self, create, create_chat, edit, phones};

use super::{
    INVALID_IDS, INVALID_MAIL_ADDRESSES, INVALID_PHONES, UNKNOWN_ID, assert_accepted,
    assert_rejected, bad_metadata, long, metadata_of,
};

fn with(
    mut request: v1::CreateConversationRequest,
    change: impl FnOnce(&mut v1::Conversation),
) -> v1::CreateConversationRequest {
    change(request.conversation.as_mut().unwrap());
    request
}

fn sms_conversation() -> v1::CreateConversationRequest {
    create(&phones())
}

on_both! {
    async fn create_conversation(t: Caller) {
        let mut table = vec![
            (v1::CreateConversationRequest::default(), vec!["conversation"]),
            (v1::CreateConversationRequest { request_id: long(256), conversation: None }, vec!["conversation", "request_id"]),
            (with(sms_conversation(), |c| c.channel = 0), vec!["conversation.channel"]),
            (with(sms_conversation(), |c| c.channel = v1::Channel::Mms.into()), vec!["conversation.channel"]),
            (with(sms_conversation(), |c| c.channel = 99), vec!["conversation.channel"]),
            (with(sms_conversation(), |c| c.user = long(256)), vec!["conversation.user"]),
            (with(sms_conversation(), |c| c.title = long(999)), vec!["conversation.title"]),
            (with(sms_conversation(), |c| c.external_id = long(256)), vec!["conversation.external_id"]),
            (with(sms_conversation(), |c| c.status = 9), vec!["conversation.status"]),
            (
                with(create_chat(""), |c| { c.participant_from = make::phone(); c.participant_to = make::phone(); }),
                vec!["conversation.participant_from", "conversation.participant_to"],
            ),
            (
                v1::CreateConversationRequest {
                    request_id: "\u{1}".to_owned(),
                    conversation: Some(v1::Conversation {
                        user: "\0".to_owned(),
                        channel: v1::Channel::Email.into(),
                        participant_from: "x".to_owned(),
                        participant_to: String::new(),
                        title: "\0".to_owned(),
                        status: -1,
                        external_id: "\0".to_owned(),
                        metadata: Some(make::nested(31)),
                        ..Default::default()
                    }),
                },
                vec![
                    "request_id", "conversation.user", "conversation.participant_from", "conversation.participant_to",
                    "conversation.title", "conversation.status", "conversation.external_id", "conversation.metadata",
                ],
            ),
        ];
        for phone in INVALID_PHONES {
            table.push((with(sms_conversation(), |c| c.participant_from = phone.to_owned()), vec!["conversation.participant_from"]));
            table.push((with(sms_conversation(), |c| c.participant_to = phone.to_owned()), vec!["conversation.participant_to"]));
        }
        for address in INVALID_MAIL_ADDRESSES {
            let mail = with(create(&make::mail_addresses()), |c| {
                c.channel = v1::Channel::Email.into();
                c.participant_to = address.to_owned();
            });
            table.push((mail, vec!["conversation.participant_to"]));
        }
        for metadata in bad_metadata() {
            table.push((with(sms_conversation(), |c| c.metadata = Some(metadata)), vec!["conversation.metadata"]));
        }
        assert_rejected(&t, table).await;
    }

    async fn values_at_their_limit_are_accepted(t: Caller) {
        let largest = with(create(&t.pair().await), |c| {
            c.user = long(255);
            c.title = long(998);
            c.external_id = long(255);
            c.metadata = Some(metadata_of(16 * 1024));
        });
        assert_accepted(&t, vec![
            v1::CreateConversationRequest { request_id: long(255), ..largest },
            with(create(&t.pair().await), |c| c.participant_to = "ACME".to_owned()),
            with(create_chat(""), |c| c.metadata = Some(make::nested(30))),
        ]).await;
    }

    async fn get_conversation(t: Caller) {
        let by = |id: &str, external_id: &str| v1::GetConversationRequest { id: id.to_owned(), external_id: external_id.to_owned() };
        let mut table = vec![
            (by("", ""), vec!["id"]),
            (by(UNKNOWN_ID, "e"), vec!["id"]),
            (by("", &long(256)), vec!["external_id"]),
            (by("", "\0"), vec!["external_id"]),
        ];
        table.extend(INVALID_IDS.map(|id| (by(id, ""), vec!["id"])));
        assert_rejected(&t, table).await;
    }

    async fn list_conversations(t: Caller) {
        let empty = v1::ListConversationsRequest::default;
        let mut table = vec![
            (v1::ListConversationsRequest { user: long(256), ..empty() }, vec!["user"]),
            (v1::ListConversationsRequest { channel: v1::Channel::Mms.into(), ..empty() }, vec!["channel"]),
            (v1::ListConversationsRequest { channel: 99, ..empty() }, vec!["channel"]),
            (v1::ListConversationsRequest { status: 99, ..empty() }, vec!["status"]),
            (v1::ListConversationsRequest { page_size: -1, ..empty() }, vec!["page_size"]),
            (v1::ListConversationsRequest { page_token: "x".to_owned(), ..empty() }, vec!["page_token"]),
            (
                v1::ListConversationsRequest {
                    user: "\0".to_owned(),
                    channel: -1,
                    status: -1,
                    participant: "@".to_owned(),
                    page_size: i32::MIN,
                    page_token: long(1_025),
                    ..empty()
                },
                vec!["user", "channel", "status", "participant", "page_size", "page_token"],
            ),
        ];
        for address in INVALID_PHONES.into_iter().chain(INVALID_MAIL_ADDRESSES).filter(|address| !address.is_empty()) {
            table.push((v1::ListConversationsRequest { participant: address.to_owned(), ..empty() }, vec!["participant"]));
        }
        // A name without `@` could be an alphanumeric sender.
        table.retain(|(request, _)| request.participant != "x");
        assert_rejected(&t, table).await;
    }

    async fn update_conversation(t: Caller) {
        let mut table = vec![
            (v1::UpdateConversationRequest::default(), vec!["conversation"]),
            (v1::UpdateConversationRequest { conversation: None, update_mask: make::mask(&["*"]) }, vec!["conversation", "update_mask"]),
            (edit("", &[], |_| ()), vec!["conversation.id"]),
            (edit(UNKNOWN_ID, &["participant_to"], |_| ()), vec!["update_mask"]),
            (edit(UNKNOWN_ID, &["title", "version"], |_| ()), vec!["update_mask"]),
            (edit(UNKNOWN_ID, &["status"], |_| ()), vec!["conversation.status"]),
            (edit(UNKNOWN_ID, &["status"], |c| c.status = 9), vec!["conversation.status"]),
            (edit(UNKNOWN_ID, &[], |c| c.title = long(999)), vec!["conversation.title"]),
            (edit(UNKNOWN_ID, &[], |c| c.user = long(256)), vec!["conversation.user"]),
            (edit(UNKNOWN_ID, &[], |c| c.external_id = long(256)), vec!["conversation.external_id"]),
            (edit(UNKNOWN_ID, &[], |c| c.etag = long(65)), vec!["conversation.etag"]),
            (
                edit("x", &["no", "user", "title", "status", "metadata", "external_id"], |c| {
                    c.user = "\0".to_owned();
                    c.title = "\0".to_owned();
                    c.status = -1;
                    c.metadata = Some(make::nested(31));
                    c.external_id = "\0".to_owned();
                    c.etag = "\0".to_owned();
                }),
                vec![
                    "update_mask", "conversation.id", "conversation.user", "conversation.title", "conversation.status",
                    "conversation.metadata", "conversation.external_id", "conversation.etag",
                ],
            ),
        ];
        for id in INVALID_IDS {
            table.push((edit(id, &[], |_| ()), vec!["conversation.id"]));
        }
        for metadata in bad_metadata() {
            table.push((edit(UNKNOWN_ID, &[], |c| c.metadata = Some(metadata)), vec!["conversation.metadata"]));
        }
        assert_rejected(&t, table).await;
    }

    async fn mark_as_read(t: Caller) {
        let mark = |id: &str, up_to_sequence| v1::MarkAsReadRequest { id: id.to_owned(), up_to_sequence };
        let mut table = vec![
            (mark("", 0), vec!["id"]),
            (mark(UNKNOWN_ID, -1), vec!["up_to_sequence"]),
            (mark("x", i64::MIN), vec!["id", "up_to_sequence"]),
        ];
        table.extend(INVALID_IDS.map(|id| (mark(id, 1), vec!["id"])));
        assert_rejected(&t, table).await;
    }

    async fn mark_as_unread(t: Caller) {
        let mark = |id: &str| v1::MarkAsUnreadRequest { id: id.to_owned() };
        let mut table = vec![(mark(""), vec!["id"])];
        table.extend(INVALID_IDS.map(|id| (mark(id), vec!["id"])));
        assert_rejected(&t, table).await;
    }

    async fn get_stats(t: Caller) {
        let of = |user: String| v1::GetStatsRequest { user };
        assert_rejected(&t, vec![(of(long(256)), vec!["user"]), (of("\0".to_owned()), vec!["user"])]).await;
        assert_accepted(&t, vec![of(long(255)), of(String::new())]).await;
    }

    async fn delete_conversation(t: Caller) {
        let mut table = vec![
            (make::delete_conversation(""), vec!["id"]),
            (v1::DeleteConversationRequest { id: "x".to_owned(), etag: long(65) }, vec!["id", "etag"]),
        ];
        table.extend(INVALID_IDS.map(|id| (make::delete_conversation(id), vec!["id"])));
        assert_rejected(&t, table).await;
    }
}
