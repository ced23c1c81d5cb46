//! `CreateConversation` and `GetConversation`.

use futures_util::future::join_all;
use parlance_proto::v1::{self, CreateConversationRequest as Create};
use parlance_tests::Caller;
use parlance_tests::make::{self, Pair, create, create_chat, json, mail_addresses, set_status};
use tonic::Code;

fn with(mut request: Create, change: impl FnOnce(&mut v1::Conversation)) -> Create {
    change(request.conversation.as_mut().unwrap());
    request
}

fn by_external_id(external_id: &str) -> v1::GetConversationRequest {
    v1::GetConversationRequest {
        external_id: external_id.to_owned(),
        ..Default::default()
    }
}

on_both! {
    async fn settable_fields_are_stored_and_the_others_are_assigned(t: Caller) {
        let pair = t.pair().await;
        let request = with(create(&pair), |c| {
            c.user = "ana".to_owned();
            c.title = "Order 17".to_owned();
            c.external_id = "ticket-17".to_owned();
            c.metadata = Some(json("a", "b"));
            c.id = "0190f5fe-7c00-7a00-b000-000000000000".to_owned();
            c.owner = "another owner".to_owned();
            c.message_count = 7;
            c.unread_count = 7;
            c.version = 7;
            c.etag = "7".to_owned();
            c.created_at = Some(make::at(7));
            c.updated_at = Some(make::at(7));
            c.last_message_at = Some(make::at(7));
        });
        let made = t.ok(request).await;
        let expected = v1::Conversation {
            id: made.id.clone(),
            owner: t.owner().to_owned(),
            user: "ana".to_owned(),
            channel: v1::Channel::Sms.into(),
            participant_from: pair.ours,
            participant_to: pair.theirs,
            title: "Order 17".to_owned(),
            status: v1::ConversationStatus::Active.into(),
            external_id: "ticket-17".to_owned(),
            metadata: Some(json("a", "b")),
            created_at: made.created_at,
            updated_at: made.created_at,
            version: 1,
            etag: made.etag.clone(),
            ..Default::default()
        };
        assert_eq!(made, expected);
        assert_ne!(made.id, "0190f5fe-7c00-7a00-b000-000000000000");
        assert!(made.created_at.unwrap().seconds > 7 && made.etag != "7");
        assert_eq!(t.conversation(&made.id).await, made);
        assert_eq!(t.ok(by_external_id("ticket-17")).await, made);
    }

    async fn a_pair_has_at_most_one_open_conversation(t: Caller) {
        let pair = t.pair().await;
        let first = t.ok(create(&pair)).await;
        let taken = async || {
            let refusal = t.refused(create(&pair)).await;
            assert_eq!(refusal.code_and_reason(), (Code::AlreadyExists, "CONVERSATION_EXISTS"));
            assert_eq!(refusal.metadata("conversation_id"), first.id);
        };
        taken().await;
        t.ok(set_status(&first.id, v1::ConversationStatus::Archived)).await;
        taken().await;
        t.ok(set_status(&first.id, v1::ConversationStatus::Closed)).await;
        let second = t.ok(create(&pair)).await;
        assert_ne!(second.id, first.id);
        assert_eq!(t.ok(make::sms(&pair, "hi")).await.conversation_id, second.id);

        let back = Pair { ours: pair.theirs.clone(), theirs: pair.ours.clone() };
        t.ok(create(&back)).await;
        t.other().ok(create(&Pair { ours: make::phone(), theirs: pair.theirs })).await;
    }

    async fn a_pair_of_mail_addresses_is_compared_in_canonical_form(t: Caller) {
        let pair = mail_addresses();
        let of = |pair: &Pair| with(create(pair), |c| c.channel = v1::Channel::Email.into());
        let first = t.ok(of(&Pair { ours: pair.ours.clone(), theirs: pair.theirs.replace("theirs.example.org", "THEIRS.Example.ORG") })).await;
        assert_eq!(first.participant_to, pair.theirs);
        assert_eq!(t.refused(of(&pair)).await.metadata("conversation_id"), first.id);
    }

    async fn chats_have_no_pair(t: Caller) {
        let one = t.ok(create_chat("")).await;
        let two = t.ok(create_chat("")).await;
        assert_ne!(one.id, two.id);
        assert_eq!((one.participant_from.as_str(), one.participant_to.as_str()), ("", ""));
    }

    async fn external_ids_are_unique_per_owner(t: Caller) {
        let first = t.ok(create_chat("session")).await;
        for request in [create_chat("session"), with(create(&t.pair().await), |c| c.external_id = "session".to_owned())] {
            let refusal = t.refused(request).await;
            assert_eq!(refusal.code_and_reason(), (Code::AlreadyExists, "EXTERNAL_ID_TAKEN"));
            assert_eq!(refusal.metadata("conversation_id"), first.id);
        }
        t.other().ok(create_chat("session")).await;
        t.ok(create_chat("Session")).await;
        assert_eq!(t.ok(make::chat("session", "hi")).await.conversation_id, first.id);
        t.ok(make::delete_conversation(&first.id)).await;
        assert_eq!(t.refused(by_external_id("session")).await.code, Code::NotFound);
        assert_ne!(t.ok(create_chat("session")).await.id, first.id, "the external id of a deleted conversation is free");
    }

    async fn a_conversation_may_be_created_in_any_status(t: Caller) {
        use v1::ConversationStatus::{Active, Archived, Closed};
        for status in [Active, Archived, Closed] {
            let made = t.ok(with(create(&t.pair().await), |c| c.status = status.into())).await;
            assert_eq!(made.status(), status);
        }
        let pair = t.pair().await;
        t.ok(create(&pair)).await;
        t.ok(with(create(&pair), |c| c.status = Closed.into())).await;
    }

    async fn a_repeated_request_creates_nothing(t: Caller) {
        let request = Create { request_id: "r".to_owned(), ..create(&t.pair().await) };
        let (first, replayed) = t.ok_or_replayed(request.clone()).await;
        assert!(!replayed);
        let titled = t.ok(make::edit(&first.id, &[], |c| c.title = "new".to_owned())).await;
        let (again, replayed) = t.ok_or_replayed(request.clone()).await;
        assert_eq!((again, replayed), (titled, true), "the current state");
        let other = with(request.clone(), |c| c.title = "other".to_owned());
        assert_eq!(t.refused(other).await.code_and_reason(), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
        t.ok(make::delete_conversation(&first.id)).await;
        assert_eq!(t.refused(request).await.code_and_reason(), (Code::NotFound, "CONVERSATION_NOT_FOUND"));
    }

    async fn concurrent_requests_create_one_conversation(t: Caller) {
        let pair = t.pair().await;
        let answers = join_all((0..16).map(|_| t.call_retrying(create(&pair)))).await;
        let made: Vec<_> = answers.iter().filter_map(|answer| Some(answer.as_ref().ok()?.get_ref())).collect();
        assert_eq!(made.len(), 1);
        for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let refusal = parlance_tests::Refusal::of(status);
            assert_eq!(refusal.code_and_reason(), (Code::AlreadyExists, "CONVERSATION_EXISTS"));
            assert_eq!(refusal.metadata("conversation_id"), made[0].id);
        }
        let request = Create { request_id: "r".to_owned(), ..create(&t.pair().await) };
        let answers = join_all((0..16).map(|_| t.ok_or_replayed_retrying(request.clone()))).await;
        assert_eq!(answers.iter().filter(|(_, replayed)| !replayed).count(), 1);
        assert!(answers.iter().all(|(made, _)| *made == answers[0].0));
    }
}
