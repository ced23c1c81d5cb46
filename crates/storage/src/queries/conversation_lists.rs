//! Lists of conversations, newest first.
//!
//! Each list is a range of an index, or a few ranges that are merged. A filter is part of one key together with the
//! owner, as in the indexes: the migration `list_filters` explains why. The condition of a partial index is literal in
//! the statement: a generic plan uses such an index only then.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use diesel_async::RunQueryDsl;
use parlance_domain::{Channel, ConversationStatus};

use super::{Conn, Db};
use crate::fields::sql::{TimestampColumn, Uid};
use crate::fields::{Id, Instant};
use crate::fragments::keyset::before;
use crate::fragments::merged::{Merged, MergedCount};
use crate::fragments::prepared::prepared;
use crate::model::conversation::ConversationFilter;
use crate::rows::conversation::ConversationRow;
use crate::schema::conversations;

type List = conversations::BoxedQuery<'static, Db>;
type Rows = diesel::dsl::Select<List, diesel::dsl::AsSelect<ConversationRow, Db>>;

const OF_USER: &str = "user_label <> '' AND owner || ' ' || user_label = ";
const OF_KIND: &str = "owner || ' ' || status || ' ' || channel = ";
const OF_KIND_AND_USER: &str =
    "user_label <> '' AND owner || ' ' || status || ' ' || channel || ' ' || user_label = ";
const UNREAD: &str = "unread_count > 0 AND owner || ' unread' = ";
const UNREAD_OF_USER: &str =
    "user_label <> '' AND unread_count > 0 AND owner || ' unread ' || user_label = ";
const THEIRS: &str = "participant_to <> '' AND owner || ' ' || participant_to = ";
const OURS: &str = "participant_from <> '' AND owner || ' ' || participant_from = ";
const OURS_OF_USER: &str =
    "user_label <> '' AND participant_from <> '' AND owner || ' ours ' || user_label = ";

/// Reads the first conversations of a list, beyond a position.
pub(crate) async fn page(
    c: &mut Conn,
    owner: &str,
    filter: &ConversationFilter,
    from: Option<(Instant, Id)>,
    limit: i64,
) -> QueryResult<Vec<ConversationRow>> {
    prepared(first(owner, filter, from, limit)).load(c).await
}

pub(crate) fn first(
    owner: &str,
    filter: &ConversationFilter,
    from: Option<(Instant, Id)>,
    limit: i64,
) -> Merged<Rows> {
    let rows = |list| beyond(list, from).select(ConversationRow::as_select());
    let lists = lists(owner, filter).into_iter().map(rows).collect();
    Merged::new(lists, limit)
}

/// Counts the conversations of a list.
pub(crate) async fn count(
    c: &mut Conn,
    owner: &str,
    filter: &ConversationFilter,
) -> QueryResult<i64> {
    let lists = lists(owner, filter).into_iter();
    let lists = lists.map(|list| list.select(sql::<Integer>("1"))).collect();
    prepared(MergedCount::new(lists)).get_result(c).await
}

fn beyond(list: List, from: Option<(Instant, Id)>) -> List {
    let Some((active_at, id)) = from else {
        return list;
    };
    let values = (
        active_at.into_sql::<TimestampColumn>(),
        id.into_sql::<Uid>(),
    );
    list.filter(before(
        (conversations::active_at, conversations::id),
        values,
    ))
}

/// Returns the lists that a list is merged from. No conversation is in two of them.
fn lists(owner: &str, filter: &ConversationFilter) -> Vec<List> {
    let ConversationFilter {
        user,
        channel,
        status,
        unread_only,
        participant,
    } = filter;
    let user = user.as_deref();
    let narrowed = |list| narrowed(list, *channel, *status);
    if let Some(address) = participant {
        let lists = [ours(owner, user, address), theirs(owner, user, address)];
        let unread = |list: List| match unread_only {
            true => list.filter(sql::<Bool>("unread_count > 0")),
            false => list,
        };
        return lists.map(narrowed).map(unread).into();
    }
    if *unread_only {
        return vec![narrowed(unread(owner, user))];
    }
    if status.is_some() || channel.is_some() {
        return of_kinds(owner, user, *channel, *status);
    }
    vec![match user {
        Some(user) => keyed(OF_USER, format!("{owner} {user}")),
        None => visible().filter(conversations::owner.eq(owner.to_owned())),
    }]
}

/// All conversations that are not being deleted.
fn visible() -> List {
    conversations::table
        .filter(conversations::deleted_at.is_null())
        .into_boxed()
}

fn keyed(key: &str, value: String) -> List {
    visible().filter(sql::<Bool>(key).bind::<Text, _>(value))
}

/// Adds the filters that have no index in combination with the key.
fn narrowed(mut list: List, channel: Option<Channel>, status: Option<ConversationStatus>) -> List {
    if let Some(channel) = channel {
        list = list.filter(conversations::channel.eq(channel.as_str()));
    }
    if let Some(status) = status {
        list = list.filter(conversations::status.eq(status.as_str()));
    }
    list
}

fn unread(owner: &str, user: Option<&str>) -> List {
    match user {
        Some(user) => keyed(UNREAD_OF_USER, format!("{owner} unread {user}")),
        None => keyed(UNREAD, format!("{owner} unread")),
    }
}

/// One list for each possible status and channel.
fn of_kinds(
    owner: &str,
    user: Option<&str>,
    channel: Option<Channel>,
    status: Option<ConversationStatus>,
) -> Vec<List> {
    let statuses = ConversationStatus::ALL.iter();
    let statuses = statuses.filter(|one| status.is_none_or(|status| status == **one));
    let channels = || {
        // Messages of some channels belong to conversations of another channel; no conversation has such a channel.
        let any = |one: &Channel| one.of_conversation() == *one;
        let channels = Channel::ALL.iter();
        channels.filter(move |one| channel.map_or(any(one), |channel| channel == **one))
    };
    let kinds = statuses.flat_map(|status| channels().map(move |channel| (status, channel)));
    let list = |(status, channel): (&ConversationStatus, &Channel)| match user {
        Some(user) => keyed(
            OF_KIND_AND_USER,
            format!("{owner} {status} {channel} {user}"),
        ),
        None => keyed(OF_KIND, format!("{owner} {status} {channel}")),
    };
    kinds.map(list).collect()
}

/// Conversations in which the address is ours.
fn ours(owner: &str, user: Option<&str>, address: &str) -> List {
    match user {
        Some(user) => keyed(OURS_OF_USER, format!("{owner} ours {user}"))
            .filter(conversations::participant_from.eq(address.to_owned())),
        None => keyed(OURS, format!("{owner} {address}")),
    }
}

/// Conversations in which the address is theirs and not ours.
fn theirs(owner: &str, user: Option<&str>, address: &str) -> List {
    let list = keyed(THEIRS, format!("{owner} {address}"))
        .filter(conversations::participant_from.ne(address.to_owned()));
    match user {
        Some(user) => list.filter(conversations::user_label.eq(user.to_owned())),
        None => list,
    }
}
