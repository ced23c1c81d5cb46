//! JSON of lists, statistics and searches: the query, its owner and user, and the answer.

use bytes::Bytes;
use parlance_domain::{Channel, Conversation, Direction, MessageStatus, Owner};
use serde::{Deserialize, Serialize};

use super::conversation::ConversationText;
use super::message::MessageText;
use super::scalar::{NonNullText, OwnerText, Scalar, Text, required_nullable};
use super::write;
use crate::paging::{Page, QueryFingerprint};
use crate::query_results::{SearchResult, Stats};

/// A cached answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CachedAnswer<T> {
    /// The owner.
    pub(crate) owner: Owner,
    /// The user, if the query names one.
    pub(crate) user: Option<String>,
    /// The answer.
    pub(crate) answer: T,
}

/// A response that can be cached as the answer to a query.
pub(crate) trait CacheableResponse: Sized {
    /// Its JSON form.
    type Text<'a>: Serialize + Deserialize<'a>
    where
        Self: 'a;

    fn text(&self) -> Self::Text<'_>;
    fn read(text: Self::Text<'_>) -> Option<Self>;
    /// Approximate bytes of its texts.
    fn size(&self) -> usize;
}

/// The field names are a contract with other readers of Redis.
#[derive(Debug, Serialize, Deserialize)]
struct AnswerText<'a, T> {
    #[serde(borrow)]
    owner: OwnerText<'a>,
    #[serde(borrow, deserialize_with = "required_nullable")]
    user: Option<NonNullText<'a>>,
    question: Scalar<QueryFingerprint>,
    answer: T,
}

/// Serializes the answer to a query.
pub(crate) fn answer<T: CacheableResponse>(
    cached: &CachedAnswer<T>,
    fingerprint: QueryFingerprint,
) -> Bytes {
    let CachedAnswer {
        owner,
        user,
        answer,
    } = cached;
    let text = AnswerText {
        owner: owner.into(),
        user: user.as_ref().map(Into::into),
        question: Scalar(fingerprint),
        answer: answer.text(),
    };
    write(&text, answer.size())
}

/// Serializes an answer without its query.
pub(crate) fn answer_only<T: CacheableResponse>(answer: &T) -> Bytes {
    write(&answer.text(), answer.size())
}

/// Parses an answer; `None` if it belongs to another query.
pub(crate) fn parse_answer<T: CacheableResponse>(
    text: &[u8],
    expected: QueryFingerprint,
) -> Option<CachedAnswer<T>> {
    let AnswerText {
        owner,
        user,
        question: Scalar(found),
        answer,
    } = serde_json::from_slice::<AnswerText<'_, T::Text<'_>>>(text).ok()?;
    if found != expected {
        return None;
    }
    Some(CachedAnswer {
        owner: owner.owner()?,
        user: user.map(Into::into),
        answer: T::read(answer)?,
    })
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ListText<'a> {
    #[serde(borrow)]
    next_page_token: Text<'a>,
    #[serde(deserialize_with = "required_nullable")]
    total_size: Option<i64>,
    #[serde(borrow)]
    conversations: Vec<ConversationText<'a>>,
}

impl CacheableResponse for Page<Conversation> {
    type Text<'a> = ListText<'a>;

    fn text(&self) -> ListText<'_> {
        let Self {
            items,
            next_page_token,
            total_size,
        } = self;
        ListText {
            next_page_token: next_page_token.into(),
            total_size: *total_size,
            conversations: items.iter().map(Into::into).collect(),
        }
    }

    fn read(text: ListText<'_>) -> Option<Self> {
        let ListText {
            next_page_token,
            total_size,
            conversations,
        } = text;
        let items = conversations.into_iter();
        Some(Self {
            items: items
                .map(ConversationText::into_conversation)
                .collect::<Option<_>>()?,
            next_page_token: next_page_token.into(),
            total_size,
        })
    }

    fn size(&self) -> usize {
        /// Names, numbers and times of a conversation.
        const EACH: usize = 640;
        let text = |c: &Conversation| c.title.len() + c.metadata.as_str().len() + EACH;
        self.items.iter().map(text).sum()
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StatsText {
    conversations: i64,
    active_conversations: i64,
    messages: i64,
    unread: i64,
    tokens_used: i64,
    messages_by: Vec<CountText>,
}

#[derive(Debug, Serialize, Deserialize)]
struct CountText {
    message_type: Scalar<Channel>,
    direction: Scalar<Direction>,
    status: Scalar<MessageStatus>,
    count: i64,
}

impl CacheableResponse for Stats {
    type Text<'a> = StatsText;

    fn text(&self) -> StatsText {
        let Self {
            conversations,
            active_conversations,
            messages,
            unread,
            tokens_used,
            messages_by,
        } = self;
        let by = messages_by.iter();
        StatsText {
            conversations: *conversations,
            active_conversations: *active_conversations,
            messages: *messages,
            unread: *unread,
            tokens_used: *tokens_used,
            messages_by: by
                .map(|((channel, direction, status), count)| CountText {
                    message_type: Scalar(*channel),
                    direction: Scalar(*direction),
                    status: Scalar(*status),
                    count: *count,
                })
                .collect(),
        }
    }

    fn read(text: StatsText) -> Option<Self> {
        let StatsText {
            conversations,
            active_conversations,
            messages,
            unread,
            tokens_used,
            messages_by,
        } = text;
        let by = messages_by.into_iter().map(|count| {
            let CountText {
                message_type: Scalar(channel),
                direction: Scalar(direction),
                status: Scalar(status),
                count,
            } = count;
            ((channel, direction, status), count)
        });
        Some(Self {
            conversations,
            active_conversations,
            messages,
            unread,
            tokens_used,
            messages_by: by.collect(),
        })
    }

    fn size(&self) -> usize {
        /// Names and values of one count.
        const EACH: usize = 96;
        self.messages_by.len() * EACH
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SearchText<'a> {
    #[serde(borrow)]
    next_page_token: Text<'a>,
    #[serde(borrow)]
    results: Vec<ResultText<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ResultText<'a> {
    score: f64,
    #[serde(borrow)]
    snippet: Text<'a>,
    #[serde(borrow)]
    message: MessageText<'a>,
}

impl<'a> From<&'a SearchResult> for ResultText<'a> {
    fn from(result: &'a SearchResult) -> Self {
        let SearchResult {
            message,
            snippet,
            score,
        } = result;
        Self {
            score: *score,
            snippet: snippet.into(),
            message: MessageText::new(message, false),
        }
    }
}

impl CacheableResponse for Page<SearchResult> {
    type Text<'a> = SearchText<'a>;

    fn text(&self) -> SearchText<'_> {
        let Self {
            items,
            next_page_token,
            total_size: _, // never counted
        } = self;
        SearchText {
            next_page_token: next_page_token.into(),
            results: items.iter().map(Into::into).collect(),
        }
    }

    fn read(text: SearchText<'_>) -> Option<Self> {
        let SearchText {
            next_page_token,
            results,
        } = text;
        let result = |result| {
            let ResultText {
                score,
                snippet,
                message,
            } = result;
            Some(SearchResult {
                message: message.into_message()?.0,
                snippet: snippet.into(),
                score,
            })
        };
        Some(Self {
            items: results.into_iter().map(result).collect::<Option<_>>()?,
            next_page_token: next_page_token.into(),
            total_size: None,
        })
    }

    fn size(&self) -> usize {
        /// Names, numbers, times and the snippet of a message.
        const EACH: usize = 1536;
        let text = |result: &SearchResult| result.message.text_bytes() + EACH;
        self.items.iter().map(text).sum()
    }
}
