//! Full-text search over messages.
//!
//! Matches are selected from the newest on, up to a thousand at a time. Such a window is ranked and returned page by
//! page, then the next older one. So a term that is in every second message is answered as fast as one that is in
//! three messages. Without terms there is nothing to rank, and messages come newest first.

mod cursor;
mod index;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::time::Duration;

use parlance_cache::Source;
use parlance_domain::search::{Language, Score, Terms, query, score, snippet};
use parlance_domain::{Message, MessageId, Owner};
use parlance_storage::Database;
use parlance_storage::db::search::{Match, Matches, SearchFilter, SearchPosition, SearchWindow};

use crate::App;
use crate::cache::codec::{AnswerCodec, page_size};
use crate::cache::keys::Scope;
use crate::error::{Error, Reason, Result};
use crate::paging::{ListIdentity, MAX_BYTES, Page, PageRequest};
use crate::query_results::SearchResult;
use crate::read::{Answer, Ownership, Read};
use cursor::{Cursor, Window};

/// Maximum number of matches that are ranked together.
const WINDOW: usize = 1000;
/// Messages are read in steps of this size, so that a page of large ones is not read completely before it is cut.
const STEP: usize = 50;

/// Request of `search_messages`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchMessages {
    /// Terms that a message must all contain; other characters have no meaning.
    pub query: String,
    /// Filter over the messages.
    pub filter: SearchFilter,
    /// Page size and token.
    pub page: PageRequest,
}

/// A match on the page.
struct PageMatch {
    score: Score,
    found: Match,
    /// The window that it belongs to.
    window: Window,
}

/// The matches of a page, and whether more follow.
struct PageMatches {
    selected: Vec<PageMatch>,
    more: bool,
}

/// The search of one request.
#[derive(Clone)]
struct Search {
    db: Database,
    owner: Owner,
    terms: Terms,
    language: Language,
    filter: SearchFilter,
}

impl App {
    /// A page of the owner's messages that contain all terms: the best first among the newest thousand matches, then
    /// the next thousand. While the database is unavailable the first page may be as old as `max_staleness`.
    pub async fn search_messages(
        &self,
        owner: &Owner,
        request: SearchMessages,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Answer<Page<SearchResult>>>> {
        let list = identity(owner, &request, self.db.search_language());
        let cursor = request.page.position(&list)?;
        let cursor = cursor.map(|bytes| Cursor::from_bytes(&bytes));
        if cursor.is_some() {
            let search = Search::new(&self.db, owner, &request);
            let page = search.page(&list, cursor, request.page.limit()).await?;
            return Ok(Read::from(Source::Database, Answer::Value(page)));
        }
        // The fingerprint includes what builds the terms: an index rebuilt for another language or by a later version
        // invalidates nothing, but uses other fingerprints. The page size is part of the cache key instead.
        let edition = list.clone().with(self.db.search_edition().as_bytes());
        let (fingerprint, limit) = (edition.query_fingerprint(), request.page.limit());
        let user = request.filter.user.as_deref();
        let key = Scope::of(self.settings.installation, owner, user).search(fingerprint, limit);
        let codec = AnswerCodec {
            fingerprint,
            encode: self.settings.encoders.search,
        };
        let ownership = Ownership { owner, user };
        let load = || {
            let (search, list) = (Search::new(&self.db, owner, &request), list.clone());
            move || async move { Ok(search.page(&list, None, limit).await?) }
        };
        self.find_answer((key, ownership, max_staleness), codec, load)
            .await
    }
}

impl Search {
    fn new(db: &Database, owner: &Owner, request: &SearchMessages) -> Self {
        let SearchMessages {
            query: text,
            filter,
            page: _,
        } = request;
        let language = db.search_language();
        Self {
            db: db.clone(),
            owner: owner.clone(),
            terms: query(text, language),
            language,
            filter: filter.clone(),
        }
    }

    async fn page(
        &self,
        list: &ListIdentity,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<SearchResult>> {
        let PageMatches { selected, more } = self.find_matches(cursor, limit).await?;
        let cursors: Vec<Cursor> = selected.iter().map(PageMatch::cursor).collect();
        let (items, shown) = self.read(selected).await?;
        let more = more || shown < cursors.len();
        let last = shown.checked_sub(1).and_then(|last| cursors.get(last));
        let last = last.filter(|_| more);
        Ok(Page {
            items,
            next_page_token: last.map_or_else(String::new, |last| list.token(&last.to_bytes())),
            total_size: None,
        })
    }

    /// Reads window after window until the page is full.
    async fn find_matches(&self, cursor: Option<Cursor>, limit: usize) -> Result<PageMatches> {
        let mut selected = Vec::with_capacity(limit);
        let mut beyond = None;
        if let Some(cursor) = cursor {
            let window = cursor.window;
            beyond = Some(window.last);
            if self.terms.is_empty() {
                // Nothing was ranked, so no match after the position has been left out.
                beyond = Some(cursor.position);
            } else {
                let found = self.matches(window.stretch(WINDOW)).await?;
                let ranked = rank(self, found.matches).await?;
                let left = ranked
                    .into_iter()
                    .skip_while(|(score, found)| !is_after(&cursor, *score, found.position));
                if fill_page(&mut selected, left, window, limit) {
                    return Ok(PageMatches {
                        selected,
                        more: true,
                    });
                }
                if window.is_last {
                    return Ok(PageMatches {
                        selected,
                        more: false,
                    });
                }
            }
        }
        loop {
            // One more than requested shows whether there is a next page.
            let wanted = limit - selected.len() + 1;
            let stretch = SearchWindow {
                beyond,
                from: None,
                up_to: None,
                enough: wanted,
                limit: if self.terms.is_empty() {
                    wanted
                } else {
                    WINDOW
                },
            };
            let found = self.matches(stretch).await?;
            let Some((first, last)) = found.ends else {
                return Ok(PageMatches {
                    selected,
                    more: false,
                });
            };
            let window = Window {
                first,
                last,
                matches: found.matches.len(),
                is_last: found.is_last,
            };
            let ranked = rank(self, found.matches).await?;
            if fill_page(&mut selected, ranked.into_iter(), window, limit) {
                return Ok(PageMatches {
                    selected,
                    more: true,
                });
            }
            if window.is_last {
                return Ok(PageMatches {
                    selected,
                    more: false,
                });
            }
            beyond = Some(last);
        }
    }

    async fn matches(&self, stretch: SearchWindow) -> Result<Matches> {
        let Self {
            db,
            owner,
            terms,
            language: _,
            filter,
        } = self;
        Ok(db.search(owner, terms, filter, stretch).await?)
    }

    /// Reads the messages of a page as far as they fit; returns them and the number of matches used.
    async fn read(&self, selected: Vec<PageMatch>) -> Result<(Vec<SearchResult>, usize)> {
        let mut items = Vec::with_capacity(selected.len());
        let (mut bytes, mut shown) = (0, 0);
        for step in selected.chunks(STEP) {
            let ids: Vec<MessageId> = step.iter().map(|one| one.found.id).collect();
            let found = self.db.messages(&self.owner, &ids).await?;
            let mut found: HashMap<MessageId, Message> =
                found.into_iter().map(|m| (m.id, m)).collect();
            for one in step {
                if bytes >= MAX_BYTES {
                    return Ok((items, shown));
                }
                shown += 1;
                // It may have been deleted in the meantime.
                if let Some(message) = found.remove(&one.found.id) {
                    bytes += page_size(&message);
                    items.push(self.result(message, one));
                }
            }
        }
        Ok((items, shown))
    }

    fn result(&self, message: Message, selected: &PageMatch) -> SearchResult {
        let texts = [
            message.body.as_str(),
            message.subject.as_str(),
            selected.found.title.as_str(),
        ];
        SearchResult {
            snippet: snippet(&self.terms, texts, self.language),
            score: selected.score,
            message,
        }
    }
}

impl PageMatch {
    const fn cursor(&self) -> Cursor {
        Cursor {
            window: self.window,
            score: self.score,
            position: self.found.position,
        }
    }
}

/// Fills the page; returns whether matches are left over.
fn fill_page(
    selected: &mut Vec<PageMatch>,
    mut ranked: impl Iterator<Item = (Score, Match)>,
    window: Window,
    limit: usize,
) -> bool {
    let fitting = limit - selected.len();
    selected.extend(
        ranked
            .by_ref()
            .take(fitting)
            .map(|(score, found)| PageMatch {
                score,
                found,
                window,
            }),
    );
    ranked.next().is_some()
}

/// Ranks matches: the best first, of equals the newest. In a blocking task: a thousand texts take some milliseconds.
async fn rank(search: &Search, matches: Vec<Match>) -> Result<Vec<(Score, Match)>> {
    if search.terms.is_empty() {
        return Ok(matches.into_iter().map(|found| (0.0, found)).collect());
    }
    let (terms, language) = (search.terms.clone(), search.language);
    let rank = move || {
        let scored = matches.into_iter().map(|found| {
            let texts = [&*found.title, &*found.subject, &*found.head];
            (score(&terms, texts, language), found)
        });
        let mut ranked: Vec<(Score, Match)> = scored.collect();
        ranked.sort_by(|a, b| in_order((a.0, a.1.position), (b.0, b.1.position)));
        ranked
    };
    tokio::task::spawn_blocking(rank)
        .await
        .map_err(|e| Error::new(Reason::Internal, "the search was interrupted").caused_by(e))
}

fn in_order(a: (Score, SearchPosition), b: (Score, SearchPosition)) -> Ordering {
    b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
}

fn is_after(cursor: &Cursor, score: Score, position: SearchPosition) -> bool {
    in_order((cursor.score, cursor.position), (score, position)) == Ordering::Less
}

/// Normalized query: the same for queries that find the same messages. Terms contain neither spaces nor capitals.
fn normalized(raw: &str) -> String {
    let mut normalized = String::with_capacity(raw.len());
    for word in raw.split_ascii_whitespace() {
        if !normalized.is_empty() {
            normalized.push(' ');
        }
        normalized.push_str(word);
    }
    normalized.make_ascii_lowercase();
    normalized
}

fn identity(owner: &Owner, request: &SearchMessages, language: Language) -> ListIdentity {
    let SearchMessages {
        query: raw,
        filter,
        page: _,
    } = request;
    let SearchFilter {
        user,
        conversation_id,
        channel,
        direction,
        status,
        created_after,
        created_before,
    } = filter;
    let text = |value: Option<String>| value.map_or_else(|| "-".to_owned(), |v| format!("+{v}"));
    let filters = [
        text(user.clone()),
        text(conversation_id.map(|id| id.to_string())),
        text(channel.map(|word| word.to_string())),
        text(direction.map(|word| word.to_string())),
        text(status.map(|word| word.to_string())),
        text(created_after.map(|at| at.as_micros().to_string())),
        text(created_before.map(|at| at.as_micros().to_string())),
    ];
    let list = ListIdentity::new("SearchMessages", owner)
        .with(normalized(raw).as_bytes())
        .with(language.as_str().as_bytes());
    filters
        .iter()
        .fold(list, |list, filter| list.with(filter.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_with_the_same_key_find_the_same_messages() {
        assert_eq!(normalized(" Refund\t now "), normalized("refund NOW"));
        assert_ne!(normalized("re fund"), normalized("refund"));
        for raw in [
            "",
            " ",
            "A.B  c",
            "İSTANBUL ok",
            "ΟΔΟΣ Σ",
            "Naïve\u{a0}CAFÉ",
            "ẞ SS ﬁ",
            "it's  O'Neil",
        ] {
            for language in [Language::Simple, Language::English] {
                assert_eq!(
                    query(&normalized(raw), language),
                    query(raw, language),
                    "{raw}"
                );
            }
        }
    }
}
