//! `SearchMessages`.

use bytes::Bytes;
use parlance_app::messages::{SearchFilter, SearchMessages, SearchResult};
use parlance_app::{Page, Result};
use parlance_domain::ConversationId;
use parlance_proto::v1;
use prost::Message as _;

use super::to_proto;
use crate::convert::fields::{Violations, non_empty};
use crate::convert::time::timestamp;
use crate::convert::{enums, limits, page};

/// Reads a search. Every text within the length limit is a valid query.
pub(crate) fn search(request: v1::SearchMessagesRequest) -> Result<SearchMessages> {
    let mut violations = Violations::new();
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
        violations.push("query", format!("at most {most} characters; shorten it"));
    }
    violations.text("user", &user, limits::USER);
    let conversation_id = non_empty(conversation_id)
        .and_then(|id| violations.id("conversation_id", &id, ConversationId::parse));
    let filter = SearchFilter {
        user: non_empty(user),
        conversation_id,
        channel: enums::channel(&mut violations, "channel", channel),
        direction: enums::direction(&mut violations, "direction", direction),
        status: enums::message_status(&mut violations, "status", status),
        created_after: timestamp(&mut violations, "created_after", created_after),
        created_before: timestamp(&mut violations, "created_before", created_before),
    };
    let page = page::request(&mut violations, page_size, page_token);
    violations.finish(|| {
        Some(SearchMessages {
            query,
            filter,
            page,
        })
    })
}

/// Page of results, encoded as a reply.
pub(crate) fn encode_search(page: &Page<SearchResult>) -> Bytes {
    search_to_proto(page.clone()).encode_to_vec().into()
}

/// Converts a page of results.
pub(crate) fn search_to_proto(page: Page<SearchResult>) -> v1::SearchMessagesResponse {
    let Page {
        items,
        next_page_token,
        total_size: _, // not counted: that would read all results
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
    fn every_text_is_a_query() {
        let of = |query: &str| {
            search(v1::SearchMessagesRequest {
                query: query.to_owned(),
                ..Default::default()
            })
        };
        for text in ["", "\0", "\"", "NEAR(", &"ä".repeat(10_000)] {
            assert_eq!(of(text).unwrap().query, text);
        }
        let error = of(&"ä".repeat(10_001)).unwrap_err();
        assert_eq!(error.violations[0].field, "query");
    }

    #[test]
    fn an_unset_filter_matches_everything() {
        let read = search(v1::SearchMessagesRequest::default()).unwrap();
        assert_eq!(read, SearchMessages::default());
    }

    #[test]
    fn all_violations_are_reported() {
        let result = search(v1::SearchMessagesRequest {
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
        let error = result.unwrap_err();
        let fields: Vec<&str> = error.violations.iter().map(|v| v.field.as_str()).collect();
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
