//! `parlance seed`: sample conversations of a shop with its customers.
//!
//! The result depends only on the seed, the number of messages and the time: the same arguments generate the same
//! conversations, to the byte. So the command can be repeated, and existing conversations are skipped.

mod conversation;
mod random;
mod texts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parlance_proto::v1;
use prost_types::Timestamp;
use tokio::sync::mpsc;

use super::import::print_totals;
use super::import_batch::import_all;
use super::progress::Progress;
use super::service::Service;
use crate::arguments::{OnError, Seed};
use crate::failure::Failure;
use crate::sessions::{Position, SessionRecord, Transcript};
use crate::show::Screen;
use conversation::GeneratedConversation;
use random::Random;
use texts::Texts;

/// Number of conversations that are generated ahead.
const GENERATE_AHEAD: usize = 64;

pub(super) async fn run(
    arguments: &Seed,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let done = Arc::new(AtomicU64::new(0));
    let mut progress = Progress::new(Some(arguments.messages), Arc::clone(&done));
    let (sender, sessions) = mpsc::channel(GENERATE_AHEAD);
    let (seed, messages, until) = (arguments.number, arguments.messages, arguments.until);
    let conversations = Conversations::new(Texts::read()?, seed, messages, until);
    let generating = async move {
        for (number, transcript) in (1..).zip(conversations) {
            let count = u64::try_from(transcript.messages.len()).unwrap_or_default();
            done.fetch_add(count, Ordering::Relaxed);
            let session = SessionRecord {
                position: Position::Session(number),
                transcript: Ok(transcript),
            };
            if sender.send(session).await.is_err() {
                break;
            }
        }
    };
    let importing = import_all(
        service,
        sessions,
        OnError::Skip,
        &mut progress,
        screen.output(),
    );
    let ((), totals) = tokio::join!(generating, importing);
    print_totals(&totals?, arguments.caller.json, screen);
    Ok(())
}

/// Iterator over the conversations of a seed.
struct Conversations {
    texts: Texts,
    seed: u64,
    next: u64,
    left: u64,
    until: Timestamp,
}

impl Conversations {
    const fn new(texts: Texts, seed: u64, messages: u64, until: Timestamp) -> Self {
        Self {
            texts,
            seed,
            next: 0,
            left: messages,
            until,
        }
    }
}

impl Iterator for Conversations {
    type Item = Transcript;

    fn next(&mut self) -> Option<Transcript> {
        if self.left == 0 {
            return None;
        }
        // Each conversation has its own random stream: more messages add conversations and do not change the others.
        let random = Random::new(self.seed, self.next);
        let number = (self.seed, self.next);
        let mut generated = GeneratedConversation::new(&self.texts, random, number, self.until)?;
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let mut messages: Vec<v1::Message> = generated.messages();
        messages.truncate(most);
        let conversation = generated.conversation(&messages);
        self.next += 1;
        self.left -= u64::try_from(messages.len()).unwrap_or(self.left);
        Some(Transcript {
            conversation,
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

    fn all(seed: u64, messages: u64) -> Vec<Transcript> {
        Conversations::new(Texts::read().unwrap(), seed, messages, UNTIL).collect()
    }

    #[test]
    fn the_same_arguments_generate_the_same_conversations() {
        assert_eq!(all(7, 500), all(7, 500));
        assert_ne!(all(7, 500)[0].messages, all(8, 500)[0].messages);
        let (few, many) = (all(7, 100), all(7, 500));
        let whole = few.len() - 1;
        assert_eq!(
            few[..whole],
            many[..whole],
            "more messages only add conversations"
        );
    }

    #[test]
    fn the_number_of_messages_is_exact_and_every_channel_occurs() {
        let all = all(1, 3_000);
        let messages: Vec<_> = all
            .iter()
            .flat_map(|transcript| &transcript.messages)
            .collect();
        assert_eq!(messages.len(), 3_000);
        for channel in [v1::Channel::Sms, v1::Channel::Email, v1::Channel::Chat] {
            assert!(
                all.iter()
                    .filter(|transcript| transcript.conversation.channel() == channel)
                    .count()
                    > 30
            );
        }
        let statuses: HashSet<_> = messages.iter().map(|message| message.status()).collect();
        assert!(statuses.len() >= 4, "{statuses:?}");
        let names: HashSet<_> = all
            .iter()
            .map(|transcript| &transcript.conversation.external_id)
            .collect();
        assert_eq!(names.len(), all.len());
        let pairs = all.iter().map(|transcript| &transcript.conversation);
        let pairs = pairs.filter(|of| !of.participant_to.is_empty());
        let pairs: Vec<_> = pairs
            .map(|of| (&of.participant_from, &of.participant_to))
            .collect();
        assert_eq!(pairs.iter().collect::<HashSet<_>>().len(), pairs.len());
        assert!(messages.iter().all(|message| !message.body.contains('{')));
    }

    #[test]
    fn times_are_sorted_and_before_the_end() {
        let mut first = UNTIL.seconds;
        for transcript in all(3, 3_000) {
            let times = transcript
                .messages
                .iter()
                .map(|message| message.created_at.unwrap().seconds);
            let times: Vec<_> = times.collect();
            assert!(times.is_sorted() && times[times.len() - 1] < UNTIL.seconds);
            assert_eq!(
                transcript.conversation.created_at,
                transcript.messages[0].created_at
            );
            first = first.min(times[0]);
        }
        assert!(first < UNTIL.seconds - 100 * 86_400);
    }
}
