//! `EventService`.

use parlance_proto::v1::WatchEventsRequest as Watch;
use parlance_tests::{Caller, Refusal};
use tonic::Code;

use super::{INVALID_IDS, UNKNOWN_ID, long};

on_both! {
    async fn watch_events(t: Caller) {
        let mut table = vec![
            (Watch { user: long(256), ..Default::default() }, vec!["user"]),
            (Watch { types: vec![0], ..Default::default() }, vec!["types[0]"]),
            (Watch { types: vec![4, 99, 1, -1], ..Default::default() }, vec!["types[1]", "types[3]"]),
            (Watch { cursor: long(256), ..Default::default() }, vec!["cursor"]),
            (
                Watch { conversation_id: "x".to_owned(), user: "\0".to_owned(), types: vec![0], cursor: "\0".to_owned() },
                vec!["conversation_id", "cursor", "types[0]", "user"],
            ),
        ];
        for id in INVALID_IDS {
            table.push((Watch { conversation_id: id.to_owned(), ..Default::default() }, vec!["conversation_id"]));
        }
        for cursor in ["x", "00", "-1", "1-2", "1-2-3-4", "1-2-x", "1--2", "99999999999999999999999-1-1"] {
            table.push((Watch { cursor: cursor.to_owned(), ..Default::default() }, vec!["cursor"]));
        }
        for (request, fields) in table {
            let refusal = Refusal::of(&t.watch(request.clone()).await.unwrap_err());
            assert_eq!(refusal.code_and_reason(), (Code::InvalidArgument, "INVALID_REQUEST"), "{request:?}");
            assert_eq!(refusal.fields, fields, "{request:?}");
        }
    }

    async fn unknown_conversation_and_expired_cursor_are_rejected(t: Caller) {
        let unknown = Watch { conversation_id: UNKNOWN_ID.to_owned(), ..Default::default() };
        let refusal = Refusal::of(&t.watch(unknown).await.unwrap_err());
        assert_eq!(refusal.code_and_reason(), (Code::NotFound, "CONVERSATION_NOT_FOUND"));

        let theirs = t.other().ok(parlance_tests::make::chat("", "hi")).await.conversation_id;
        let foreign = Watch { conversation_id: theirs, ..Default::default() };
        let refusal = Refusal::of(&t.watch(foreign).await.unwrap_err());
        assert_eq!(refusal.code_and_reason(), (Code::NotFound, "CONVERSATION_NOT_FOUND"));

        let expired = Watch { cursor: "1-1-1".to_owned(), ..Default::default() };
        let refusal = Refusal::of(&t.watch(expired).await.unwrap_err());
        assert_eq!(refusal.code_and_reason(), (Code::OutOfRange, "CURSOR_EXPIRED"));
    }
}
