//! `SearchMessages`.

use bytes::Bytes;
use parlance_app::messages::{SearchFilter, SearchMessages, SearchResult};
use parlance_app::{Page, Result};
use parlance_domain::ConversationId;
use parlance_proto::v1;
use prost::Message as _;

use super::to_proto;
use crate::convert::fields::{Found, set};
use crate::convert::time::timestamp;
use crate::convert::{enums, limits, page};

/// Any text is a query, as long as it is not too long.
pub(crate) fn search(request: v1::SearchMessagesRequest) -> Result<SearchMessages> {
    let mut found = Found::new();
    let v1::SearchMessagesRequest {
        query,
        user,
        conversation_id,
        channel,
        direction,
        status,
        created_after,
        created_before,
        page_size,
        page_token,
    } = request;
    let most = limits::QUERY;
    if query.len() > most && query.chars().count() > most {
        found.push("query", format!("at most {most} characters; shorten it"));
    }
    found.text("user", &user, limits::USER);
    let conversation_id =
        set(conversation_id).and_then(|id| found.id("conversation_id", &id, ConversationId::parse));
    let filter = SearchFilter {
        user: set(user),
        conversation_id,
        channel: enums::channel(&mut found, "channel", channel),
        direction: enums::direction(&mut found, "direction", direction),
        status: enums::message_status(&mut found, "status", status),
        created_after: timestamp(&mut found, "created_after", created_after),
        created_before: timestamp(&mut found, "created_before", created_before),
    };
    let page = page::request(&mut found, page_size, page_token);
    found.finish(|| {
        Some(SearchMessages {
            query,
            filter,
            page,
        })
    })
}

/// A page of results as clients are told it.
pub(crate) fn encode_search(page: &Page<SearchResult>) -> Bytes {
    search_to_proto(page.clone()).encode_to_vec().into()
}

/// A page of results.
pub(crate) fn search_to_proto(page: Page<SearchResult>) -> v1::SearchMessagesResponse {
    let Page {
        items,
        next_page_token,
        total_size: _, // not counted: it would cost reading all of them
    } = page;
    v1::SearchMessagesResponse {
        results: items.into_iter().map(result_to_proto).collect(),
        next_page_token,
    }
}

fn result_to_proto(result: SearchResult) -> v1::SearchResult {
    let SearchResult {
        message,
        snippet,
        score,
    } = result;
    v1::SearchResult {
        message: Some(to_proto(message)),
        snippet,
        score,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_is_a_query() {
        let of = |query: &str| {
            search(v1::SearchMessagesRequest {
                query: query.to_owned(),
                ..Default::default()
            })
        };
        for text in ["", "\0", "\"", "NEAR(", &"ä".repeat(10_000)] {
            assert_eq!(of(text).unwrap().query, text);
        }
        let wrong = of(&"ä".repeat(10_001)).unwrap_err();
        assert_eq!(wrong.violations[0].field, "query");
    }

    #[test]
    fn what_is_unset_is_any() {
        let read = search(v1::SearchMessagesRequest::default()).unwrap();
        assert_eq!(read, SearchMessages::default());
    }

    #[test]
    fn everything_wrong_is_told() {
        let wrong = search(v1::SearchMessagesRequest {
            user: "\0".to_owned(),
            conversation_id: "x".to_owned(),
            channel: 99,
            direction: -1,
            status: 99,
            created_after: Some(prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }),
            page_size: -1,
            ..Default::default()
        });
        let wrong = wrong.unwrap_err();
        let fields: Vec<&str> = wrong.violations.iter().map(|v| v.field.as_str()).collect();
        let expected = [
            "user",
            "conversation_id",
            "channel",
            "direction",
            "status",
            "created_after",
            "page_size",
        ];
        assert_eq!(fields, expected);
    }
}
