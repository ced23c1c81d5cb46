//! Lists of conversations with every combination of filters: their contents and their counts.

use parlance_domain::{Channel, Conversation, ConversationStatus, Owner};
use parlance_storage::db::conversation::{ConversationFilter, list_position};

use crate::support::{Db, at, committed, conversation, owner};

/// Conversations of all kinds, two of them at each time. Some have an address of ours on the other side, some on both.
fn all(owner: &Owner) -> Vec<Conversation> {
    let pick = |from: &[&str], n: usize| from[n % from.len()].to_owned();
    let one = |n: usize| {
        let new = conversation(owner);
        let channel = [Channel::Sms, Channel::Email, Channel::Chat][n % 3];
        let status = ConversationStatus::ALL[n / 3 % 3];
        let (ours, theirs) = match channel {
            Channel::Chat => (String::new(), String::new()),
            Channel::Sms | Channel::Mms | Channel::Email if n.is_multiple_of(5) => {
                (pick(&["+1", "A"], n), pick(&["+1", "+9"], n / 5))
            }
            Channel::Sms | Channel::Mms | Channel::Email => {
                (pick(&["+1", "A", "A b"], n), new.participant_to.clone())
            }
        };
        Conversation {
            user: pick(&["", "ana", "b c", "c"], n / 9),
            channel,
            // Only one conversation of a pair is not closed.
            status: if n.is_multiple_of(5) {
                ConversationStatus::Closed
            } else {
                status
            },
            participant_from: ours,
            participant_to: theirs,
            unread_count: i64::from(n.is_multiple_of(2)),
            created_at: at(i64::try_from(n / 2).unwrap()),
            ..new
        }
    };
    (0..90).map(one).collect()
}

/// The expected result, by testing each.
fn matching(all: &[Conversation], filter: &ConversationFilter) -> Vec<Conversation> {
    let ConversationFilter {
        user,
        channel,
        status,
        unread_only,
        participant,
    } = filter;
    let has = |one: &Conversation, address: &String| {
        [&one.participant_from, &one.participant_to].contains(&address)
    };
    let mut found: Vec<Conversation> = all
        .iter()
        .filter(|one| user.as_ref().is_none_or(|user| *user == one.user))
        .filter(|one| channel.is_none_or(|channel| channel == one.channel))
        .filter(|one| status.is_none_or(|status| status == one.status))
        .filter(|one| !unread_only || one.unread_count > 0)
        .filter(|one| participant.as_ref().is_none_or(|address| has(one, address)))
        .cloned()
        .collect();
    found.sort_by_key(|one| std::cmp::Reverse(list_position(one)));
    found
}

fn every_filter() -> Vec<ConversationFilter> {
    let texts = |texts: &[&str]| -> Vec<Option<String>> {
        let some = texts.iter().map(|text| Some((*text).to_owned()));
        some.chain([None]).collect()
    };
    let channels = [
        None,
        Some(Channel::Sms),
        Some(Channel::Mms),
        Some(Channel::Chat),
    ];
    let statuses = [
        None,
        Some(ConversationStatus::Active),
        Some(ConversationStatus::Closed),
    ];
    let mut filters = Vec::new();
    for user in texts(&["ana", "b c", "c", "absent"]) {
        for participant in texts(&["+1", "+9", "A", "A b", "+0"]) {
            for (channel, status) in channels.iter().flat_map(|c| statuses.map(|s| (*c, s))) {
                filters.extend([true, false].map(|unread_only| ConversationFilter {
                    user: user.clone(),
                    channel,
                    status,
                    unread_only,
                    participant: participant.clone(),
                }));
            }
        }
    }
    filters
}

on_both! {
    async fn a_list_contains_what_matches_all_filters(db: Db) {
        let (ours, theirs) = (owner("acme"), owner("other"));
        let all = all(&ours);
        for (owner, all) in [(&ours, all.clone()), (&theirs, self::all(&theirs))] {
            let mut tx = db.open.begin(owner, at(0)).await.unwrap();
            for one in &all {
                assert!(tx.insert_conversation(one).await.unwrap(), "{one:?}");
            }
            committed(tx).await;
        }
        for filter in every_filter() {
            let expected = matching(&all, &filter);
            let mut found = Vec::new();
            loop {
                let beyond = found.last().map(list_position);
                let page = db.open.conversations(&ours, &filter, beyond, 7).await.unwrap();
                let last = page.len() < 7;
                found.extend(page);
                if last {
                    break;
                }
            }
            assert_eq!(found, expected, "{filter:?}");
            let count = db.open.count_conversations(&ours, &filter).await.unwrap();
            assert_eq!(usize::try_from(count).unwrap(), expected.len(), "{filter:?}");
        }
    }
}
