//! How conversations and messages are counted, and what a write adds to the counters and subtracts from them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};
use parlance_domain::{
    Channel, Conversation, ConversationStatus, Direction, Message, MessageStatus,
};

use crate::error::{StorageError, StorageResult};
use crate::model::stats::{Counter, CounterKind};

/// Name of conversations among the counters; messages are named by their direction.
const CONVERSATION: &str = "conversation";

/// Numbers under one name.
#[derive(Clone, Debug, PartialEq, Eq, QueryableByName)]
pub(crate) struct CountRow {
    #[diesel(sql_type = Text)]
    pub(crate) what: String,
    #[diesel(sql_type = Text)]
    pub(crate) channel: String,
    #[diesel(sql_type = Text)]
    pub(crate) status: String,
    #[diesel(sql_type = BigInt)]
    pub(crate) items: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) unread_items: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) unread: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) tokens: i64,
}

/// What an entity adds to the counters: the user of a conversation (a message is counted for its conversation's user),
/// and the row for one entity.
pub(crate) type EntityCount<'a> = (Option<&'a str>, CountRow);

/// Returns how a conversation is counted.
pub(crate) fn of_conversation(conversation: &Conversation) -> EntityCount<'_> {
    let Conversation {
        user,
        channel,
        status,
        unread_count,
        id: _,
        owner: _,
        participant_from: _,
        participant_to: _,
        title: _,
        external_id: _,
        last_sequence: _,
        read_sequence: _,
        // The messages are counted one by one.
        message_count: _,
        last_message_at: _,
        metadata: _,
        created_at: _,
        updated_at: _,
        version: _,
        edit_version: _,
    } = conversation;
    let row = CountRow {
        what: CONVERSATION.to_owned(),
        channel: channel.as_str().to_owned(),
        status: status.as_str().to_owned(),
        items: 1,
        unread_items: i64::from(*unread_count > 0),
        unread: *unread_count,
        tokens: 0,
    };
    (Some(user), row)
}

/// Returns how a message is counted, for the user of its conversation.
pub(crate) fn of_message(message: &Message) -> EntityCount<'static> {
    // The conversation stores how many are unread.
    let row = CountRow {
        what: message.direction.as_str().to_owned(),
        channel: message.channel.as_str().to_owned(),
        status: message.progress.status.as_str().to_owned(),
        items: 1,
        unread_items: 0,
        unread: 0,
        tokens: message.tokens_used.unwrap_or(0),
    };
    (None, row)
}

/// Returns the change of the counters from one state of an entity to another: no row, one row or two.
pub(crate) fn between<'a>(
    before: Option<EntityCount<'a>>,
    after: Option<EntityCount<'a>>,
) -> Vec<(Option<&'a str>, CountRow)> {
    let rows = match (before, after) {
        (Some((user, before)), Some((new_user, after)))
            if user == new_user && before.name() == after.name() =>
        {
            vec![(user, after.minus(&before))]
        }
        (before, after) => {
            let taken = before.map(|(user, row)| (user, row.zero().minus(&row)));
            taken.into_iter().chain(after).collect()
        }
    };
    let is_change = |(_, row): &(Option<&str>, CountRow)| !row.is_zero();
    rows.into_iter().filter(is_change).collect()
}

/// Sums rows into one for each user and kind.
pub(crate) fn sums<'a>(
    rows: impl IntoIterator<Item = (&'a str, CountRow)>,
) -> Vec<(&'a str, CountRow)> {
    let mut sums: BTreeMap<(&str, (String, String, String)), CountRow> = BTreeMap::new();
    for (user, row) in rows {
        let (what, channel, status) = row.name();
        let kind = (what.to_owned(), channel.to_owned(), status.to_owned());
        match sums.entry((user, kind)) {
            Entry::Vacant(first) => _ = first.insert(row),
            Entry::Occupied(mut sum) => sum.get_mut().add(&row),
        }
    }
    let sums = sums.into_iter().map(|((user, _), row)| (user, row));
    sums.filter(|(_, row)| !row.is_zero()).collect()
}

impl CountRow {
    fn name(&self) -> (&str, &str, &str) {
        (&self.what, &self.channel, &self.status)
    }

    fn zero(&self) -> Self {
        Self {
            items: 0,
            unread_items: 0,
            unread: 0,
            tokens: 0,
            ..self.clone()
        }
    }

    const fn is_zero(&self) -> bool {
        self.items == 0 && self.unread_items == 0 && self.unread == 0 && self.tokens == 0
    }

    const fn add(&mut self, other: &Self) {
        self.items = self.items.saturating_add(other.items);
        self.unread_items = self.unread_items.saturating_add(other.unread_items);
        self.unread = self.unread.saturating_add(other.unread);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }

    fn minus(self, other: &Self) -> Self {
        Self {
            items: self.items.saturating_sub(other.items),
            unread_items: self.unread_items.saturating_sub(other.unread_items),
            unread: self.unread.saturating_sub(other.unread),
            tokens: self.tokens.saturating_sub(other.tokens),
            ..self
        }
    }
}

impl TryFrom<CountRow> for Counter {
    type Error = StorageError;

    fn try_from(row: CountRow) -> StorageResult<Self> {
        let bad = |column| StorageError::inconsistent("stat_totals", column, &row.what);
        let channel = Channel::parse(&row.channel).ok_or_else(|| bad("channel"))?;
        let kind = if row.what == CONVERSATION {
            let status = ConversationStatus::parse(&row.status).ok_or_else(|| bad("status"))?;
            CounterKind::Conversations { channel, status }
        } else {
            CounterKind::Messages {
                channel,
                direction: Direction::parse(&row.what).ok_or_else(|| bad("what"))?,
                status: MessageStatus::parse(&row.status).ok_or_else(|| bad("status"))?,
            }
        };
        Ok(Self {
            kind,
            items: row.items,
            unread_items: row.unread_items,
            unread: row.unread,
            tokens: row.tokens,
        })
    }
}
