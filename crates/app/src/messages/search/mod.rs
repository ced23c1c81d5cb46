//! Finding messages by their words.
//!
//! Matches are taken from the newest on, up to a thousand at a time; such a window is ranked and shown page by page, and then
//! the next older one. So a word that is in every second message is answered as fast as one that is in three. Without words
//! there is nothing to rank, and messages come newest first.

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
use crate::cache::read::{Answer, Read, Whose};
use crate::error::{Error, Reason, Result};
use crate::paging::{ListIdentity, MAX_BYTES, Page, PageRequest, Question};
use cursor::{Cursor, Window};

/// The most matches that are ranked together.
const WINDOW: usize = 1000;
/// Messages are read in steps of this, so that a page of large ones is not read whole before it is cut.
const STEP: usize = 50;

/// What `search_messages` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchMessages {
    /// Words, all of which a message must have; whatever else it says has no meaning.
    pub query: String,
    /// Which messages.
    pub filter: SearchFilter,
    /// Which page.
    pub page: PageRequest,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResult {
    /// The message.
    pub message: Message,
    /// Why it was found, ready for a page of HTML.
    pub snippet: String,
    /// How well it fits; 0 without words.
    pub score: Score,
}

/// A match on the page.
struct Taken {
    score: Score,
    found: Match,
    /// The window that it is of.
    window: Window,
}

/// The first matches of a page, and whether there are more.
struct Found {
    taken: Vec<Taken>,
    more: bool,
}

/// The search of one request.
#[derive(Clone)]
struct Search {
    db: Database,
    owner: Owner,
    words: Terms,
    language: Language,
    filter: SearchFilter,
}

impl App {
    /// A page of the owner's messages that have all the words: the best first among the newest thousand that have them, then
    /// the next thousand. While the database is away the first page may be as old as `max_staleness`.
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
        let first = FirstPage::new(&self.db, list, &request);
        self.popular
            .note(owner, first.question.of_size(first.limit), &request);
        self.first_results(owner, &request, first, max_staleness)
            .await
    }

    /// Asks for a first page as a client would, and is not counted as one.
    pub(crate) async fn search_again(&self, owner: &Owner, request: &SearchMessages) -> Result<()> {
        let list = identity(owner, request, self.db.search_language());
        let first = FirstPage::new(&self.db, list, request);
        self.first_results(owner, request, first, None).await?;
        Ok(())
    }

    async fn first_results(
        &self,
        owner: &Owner,
        request: &SearchMessages,
        first: FirstPage,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Answer<Page<SearchResult>>>> {
        let FirstPage {
            list,
            question,
            limit,
        } = first;
        let user = request.filter.user.as_deref();
        let key = Scope::of(self.settings.installation, owner, user).search(question, limit);
        let codec = AnswerCodec {
            question,
            encode: self.settings.encoders.search,
        };
        let whose = Whose { owner, user };
        let load = || {
            let (search, list) = (Search::new(&self.db, owner, request), list.clone());
            move || async move { Ok(search.page(&list, None, limit).await?) }
        };
        self.find_answer((key, whose, max_staleness), codec, load)
            .await
    }
}

/// The first page of a search.
struct FirstPage {
    list: ListIdentity,
    /// All that it depends on but for its size, which the key of the cache names.
    question: Question,
    limit: usize,
}

impl FirstPage {
    /// What makes the terms is part of the question: an index that is made anew for another language, or by a later version,
    /// touches nothing, and answers other questions.
    fn new(db: &Database, list: ListIdentity, request: &SearchMessages) -> Self {
        let edition = list.clone().with(db.search_edition().as_bytes());
        Self {
            question: edition.question(),
            limit: request.page.limit(),
            list,
        }
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
            words: query(text, language),
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
        let Found { taken, more } = self.find_matches(cursor, limit).await?;
        let places: Vec<Cursor> = taken.iter().map(Taken::cursor).collect();
        let (items, shown) = self.read(taken).await?;
        let more = more || shown < places.len();
        let last = shown.checked_sub(1).and_then(|last| places.get(last));
        let last = last.filter(|_| more);
        Ok(Page {
            items,
            next_page_token: last.map_or_else(String::new, |last| list.token(&last.to_bytes())),
            total_size: None,
        })
    }

    /// Window after window until there are enough.
    async fn find_matches(&self, cursor: Option<Cursor>, limit: usize) -> Result<Found> {
        let mut taken = Vec::with_capacity(limit);
        let mut beyond = None;
        if let Some(cursor) = cursor {
            let window = cursor.window;
            beyond = Some(window.last);
            if self.words.is_empty() {
                // Nothing was ranked, so nothing behind the place has been left out.
                beyond = Some(cursor.position);
            } else {
                let found = self.matches(window.stretch(WINDOW)).await?;
                let ranked = rank(self, found.matches).await?;
                let left = ranked
                    .into_iter()
                    .skip_while(|(score, found)| !is_after(&cursor, *score, found.position));
                if take(&mut taken, left, window, limit) {
                    return Ok(Found { taken, more: true });
                }
                if window.is_last {
                    return Ok(Found { taken, more: false });
                }
            }
        }
        loop {
            // One more than is wanted tells whether there is a next page.
            let wanted = limit - taken.len() + 1;
            let stretch = SearchWindow {
                beyond,
                from: None,
                up_to: None,
                enough: wanted,
                limit: if self.words.is_empty() {
                    wanted
                } else {
                    WINDOW
                },
            };
            let found = self.matches(stretch).await?;
            let Some((first, last)) = found.ends else {
                return Ok(Found { taken, more: false });
            };
            let window = Window {
                first,
                last,
                matches: found.matches.len(),
                is_last: found.is_last,
            };
            let ranked = rank(self, found.matches).await?;
            if take(&mut taken, ranked.into_iter(), window, limit) {
                return Ok(Found { taken, more: true });
            }
            if window.is_last {
                return Ok(Found { taken, more: false });
            }
            beyond = Some(last);
        }
    }

    async fn matches(&self, stretch: SearchWindow) -> Result<Matches> {
        let Self {
            db,
            owner,
            words,
            language: _,
            filter,
        } = self;
        Ok(db.search(owner, words, filter, stretch).await?)
    }

    /// The messages of a page, as far as they fit, and how many of the matches that is.
    async fn read(&self, taken: Vec<Taken>) -> Result<(Vec<SearchResult>, usize)> {
        let mut items = Vec::with_capacity(taken.len());
        let (mut bytes, mut shown) = (0, 0);
        for step in taken.chunks(STEP) {
            let ids: Vec<MessageId> = step.iter().map(|one| one.found.id).collect();
            let found = self.db.messages(&self.owner, &ids).await?;
            let mut found: HashMap<MessageId, Message> =
                found.into_iter().map(|m| (m.id, m)).collect();
            for one in step {
                if bytes >= MAX_BYTES {
                    return Ok((items, shown));
                }
                shown += 1;
                // It may have been deleted just now.
                if let Some(message) = found.remove(&one.found.id) {
                    bytes += page_size(&message);
                    items.push(self.result(message, one));
                }
            }
        }
        Ok((items, shown))
    }

    fn result(&self, message: Message, taken: &Taken) -> SearchResult {
        let texts = [
            message.body.as_str(),
            message.subject.as_str(),
            taken.found.title.as_str(),
        ];
        SearchResult {
            snippet: snippet(&self.words, texts, self.language),
            score: taken.score,
            message,
        }
    }
}

impl Taken {
    const fn cursor(&self) -> Cursor {
        Cursor {
            window: self.window,
            score: self.score,
            place: self.found.position,
        }
    }
}

/// Fills the page; whether something is left over.
fn take(
    taken: &mut Vec<Taken>,
    mut ranked: impl Iterator<Item = (Score, Match)>,
    window: Window,
    limit: usize,
) -> bool {
    let fitting = limit - taken.len();
    taken.extend(ranked.by_ref().take(fitting).map(|(score, found)| Taken {
        score,
        found,
        window,
    }));
    ranked.next().is_some()
}

/// The best first, of equals the newest. In a task of its own: a thousand texts take some milliseconds.
async fn rank(search: &Search, matches: Vec<Match>) -> Result<Vec<(Score, Match)>> {
    if search.words.is_empty() {
        return Ok(matches.into_iter().map(|found| (0.0, found)).collect());
    }
    let (words, language) = (search.words.clone(), search.language);
    let rank = move || {
        let scored = matches.into_iter().map(|found| {
            let texts = [&*found.title, &*found.subject, &*found.head];
            (score(&words, texts, language), found)
        });
        let mut ranked: Vec<(Score, Match)> = scored.collect();
        ranked.sort_by(|a, b| in_order((a.0, a.1.position), (b.0, b.1.position)));
        ranked
    };
    tokio::task::spawn_blocking(rank)
        .await
        .map_err(|e| Error::new(Reason::Internal, "the search broke off").caused_by(e))
}

fn in_order(a: (Score, SearchPosition), b: (Score, SearchPosition)) -> Ordering {
    b.0.total_cmp(&a.0).then(b.1.cmp(&a.1))
}

fn is_after(cursor: &Cursor, score: Score, place: SearchPosition) -> bool {
    in_order((cursor.score, cursor.position), (score, place)) == Ordering::Less
}

/// The same for what finds the same: words have no spaces and no capitals.
fn plain(asked: &str) -> String {
    let mut plain = String::with_capacity(asked.len());
    for word in asked.split_ascii_whitespace() {
        if !plain.is_empty() {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    plain.make_ascii_lowercase();
    plain
}

fn identity(owner: &Owner, request: &SearchMessages, language: Language) -> ListIdentity {
    let SearchMessages {
        query: asked,
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
        .with(plain(asked).as_bytes())
        .with(language.as_str().as_bytes());
    filters
        .iter()
        .fold(list, |list, filter| list.with(filter.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_same_key_finds_the_same() {
        assert_eq!(plain(" Refund\t now "), plain("refund NOW"));
        assert_ne!(plain("re fund"), plain("refund"));
        for asked in [
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
                    query(&plain(asked), language),
                    query(asked, language),
                    "{asked}"
                );
            }
        }
    }
}
