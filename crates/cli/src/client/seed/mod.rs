//! `parlance seed`: conversations of a shop with its customers.
//!
//! Everything follows from the two numbers and the time that are given: the same make the same, down to the byte. So a seed
//! can be repeated, and is passed over then.

mod conversation;
mod random;
mod texts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parlance_proto::v1;
use prost_types::Timestamp;
use tokio::sync::mpsc;

use super::import::told;
use super::import_batch::bring;
use super::progress::Progress;
use super::service::Service;
use crate::arguments::{OnError, Seed};
use crate::failure::Failure;
use crate::sessions::{Found, Old, Place};
use crate::show::Screen;
use dice::Dice;
use talk::Talk;

/// Conversations that are made ahead.
const AHEAD: usize = 64;

pub(super) async fn run(
    arguments: &Seed,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let done = Arc::new(AtomicU64::new(0));
    let mut progress = Progress::new(Some(arguments.messages), Arc::clone(&done));
    let (sender, found) = mpsc::channel(AHEAD);
    let (seed, messages, until) = (arguments.number, arguments.messages, arguments.until);
    let making = async move {
        for (number, old) in (1..).zip(Conversations::new(seed, messages, until)) {
            let count = u64::try_from(old.messages.len()).unwrap_or_default();
            done.fetch_add(count, Ordering::Relaxed);
            let found = Found {
                place: Place::Session(number),
                old: Ok(old),
            };
            if sender.send(found).await.is_err() {
                break;
            }
        }
    };
    let bringing = bring(
        service,
        found,
        OnError::Skip,
        &mut progress,
        screen.output(),
    );
    let ((), sum) = tokio::join!(making, bringing);
    told(&sum?, arguments.caller.json, screen);
    Ok(())
}

/// All conversations of a seed, one after another.
struct Conversations {
    seed: u64,
    next: u64,
    left: u64,
    until: Timestamp,
}

impl Conversations {
    const fn new(seed: u64, messages: u64, until: Timestamp) -> Self {
        Self {
            seed,
            next: 0,
            left: messages,
            until,
        }
    }
}

impl Iterator for Conversations {
    type Item = Old;

    fn next(&mut self) -> Option<Old> {
        if self.left == 0 {
            return None;
        }
        // Each has dice of its own: more messages are more conversations, and the others stay as they are.
        let dice = Dice::new(self.seed, self.next);
        let mut talk = Talk::new(dice, (self.seed, self.next), self.until);
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let mut messages: Vec<v1::Message> = talk.messages();
        messages.truncate(most);
        self.next += 1;
        self.left -= u64::try_from(messages.len()).unwrap_or(self.left);
        Some(Old {
            conversation: talk.conversation(&messages),
            messages,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const UNTIL: Timestamp = Timestamp {
        seconds: 1_767_225_600,
        nanos: 0,
    };

    fn all(seed: u64, messages: u64) -> Vec<Old> {
        Conversations::new(seed, messages, UNTIL).collect()
    }

    #[test]
    fn the_same_numbers_make_the_same() {
        assert_eq!(all(7, 500), all(7, 500));
        assert_ne!(all(7, 500)[0].messages, all(8, 500)[0].messages);
        let (few, many) = (all(7, 100), all(7, 500));
        let whole = few.len() - 1;
        assert_eq!(few[..whole], many[..whole], "more are added at the end");
    }

    #[test]
    fn there_are_as_many_as_are_wanted_of_every_kind() {
        let all = all(1, 3_000);
        let messages: Vec<_> = all.iter().flat_map(|old| &old.messages).collect();
        assert_eq!(messages.len(), 3_000);
        for channel in [v1::Channel::Sms, v1::Channel::Email, v1::Channel::Chat] {
            assert!(
                all.iter()
                    .filter(|old| old.conversation.channel() == channel)
                    .count()
                    > 30
            );
        }
        let statuses: HashSet<_> = messages.iter().map(|message| message.status()).collect();
        assert!(statuses.len() >= 4, "{statuses:?}");
        let names: HashSet<_> = all
            .iter()
            .map(|old| &old.conversation.external_id)
            .collect();
        assert_eq!(names.len(), all.len());
        let pairs = all.iter().map(|old| &old.conversation);
        let pairs = pairs.filter(|of| !of.participant_to.is_empty());
        let pairs: Vec<_> = pairs
            .map(|of| (&of.participant_from, &of.participant_to))
            .collect();
        assert_eq!(pairs.iter().collect::<HashSet<_>>().len(), pairs.len());
        assert!(messages.iter().all(|message| !message.body.contains('{')));
    }

    #[test]
    fn time_passes_and_ends() {
        let mut first = UNTIL.seconds;
        for old in all(3, 3_000) {
            let times = old
                .messages
                .iter()
                .map(|message| message.created_at.unwrap().seconds);
            let times: Vec<_> = times.collect();
            assert!(times.is_sorted() && times[times.len() - 1] < UNTIL.seconds);
            assert_eq!(old.conversation.created_at, old.messages[0].created_at);
            first = first.min(times[0]);
        }
        assert!(first < UNTIL.seconds - 100 * 86_400);
    }
}
