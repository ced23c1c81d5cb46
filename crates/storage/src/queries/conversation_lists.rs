//! Lists of conversations, newest first.
//!
//! Each is a stretch of an index, or a few that are merged. What a list is narrowed by is one key with its owner, as in the
//! indexes: see the migration `list_filters`, which says why. What says that an index holds only some rows is literal: a plan for
//! any value finds no use for such an index unless the statement has it.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use diesel_async::RunQueryDsl;
use parlance_domain::{Channel, ConversationStatus};

use super::{Conn, Db};
use crate::db::conversation::ConversationFilter;
use crate::fields::sql::{Moment, Uid};
use crate::fields::{Id, Instant};
use crate::keyset::before;
use crate::merged::{Counted, Merged};
use crate::prepared::prepared;
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

/// The first conversations of a list, beyond a place.
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
    let stretch = |list| beyond(list, from).select(ConversationRow::as_select());
    let lists = lists(owner, filter).into_iter().map(stretch).collect();
    Merged::new(lists, limit)
}

/// How many conversations a list has.
pub(crate) async fn count(
    c: &mut Conn,
    owner: &str,
    filter: &ConversationFilter,
) -> QueryResult<i64> {
    let lists = lists(owner, filter).into_iter();
    let lists = lists.map(|list| list.select(sql::<Integer>("1"))).collect();
    prepared(Counted::new(lists)).get_result(c).await
}

fn beyond(list: List, from: Option<(Instant, Id)>) -> List {
    let Some((active_at, id)) = from else {
        return list;
    };
    let values = (active_at.into_sql::<Moment>(), id.into_sql::<Uid>());
    list.filter(before(
        (conversations::active_at, conversations::id),
        values,
    ))
}

/// The lists that a list is merged from. None of them have a conversation in common.
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
        None => there().filter(conversations::owner.eq(owner.to_owned())),
    }]
}

/// All that are not being deleted.
fn there() -> List {
    conversations::table
        .filter(conversations::deleted_at.is_null())
        .into_boxed()
}

fn keyed(key: &str, value: String) -> List {
    there().filter(sql::<Bool>(key).bind::<Text, _>(value))
}

/// By what has no index together with what they are found by.
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

/// One list for each status and channel that there may be.
fn of_kinds(
    owner: &str,
    user: Option<&str>,
    channel: Option<Channel>,
    status: Option<ConversationStatus>,
) -> Vec<List> {
    let statuses = ConversationStatus::ALL.iter();
    let statuses = statuses.filter(|one| status.is_none_or(|status| status == **one));
    let channels = || {
        // No conversation has a channel whose messages lie in another's.
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

/// Those in which an address is ours.
fn ours(owner: &str, user: Option<&str>, address: &str) -> List {
    match user {
        Some(user) => keyed(OURS_OF_USER, format!("{owner} ours {user}"))
            .filter(conversations::participant_from.eq(address.to_owned())),
        None => keyed(OURS, format!("{owner} {address}")),
    }
}

/// Those in which it is theirs alone.
fn theirs(owner: &str, user: Option<&str>, address: &str) -> List {
    let list = keyed(THEIRS, format!("{owner} {address}"))
        .filter(conversations::participant_from.ne(address.to_owned()));
    match user {
        Some(user) => list.filter(conversations::user_label.eq(user.to_owned())),
        None => list,
    }
}
