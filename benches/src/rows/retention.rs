//! The time of a retention run depends on the number of deleted messages, and not on the size of the database.

use std::cell::Cell;

use crate::database::Database;
use crate::fill::DELIVERY_EVENTS;
use crate::harness::Harness;
use crate::report::{Aim, Claim, Section};
use crate::retention;
use crate::rounds::{Arm, interleaved};
use crate::rows::size::compared;

/// Messages deleted per round, and the database sizes.
const DROPPED: u64 = 10_000;
const SIZES: [u64; 2] = [100_000, 1_000_000];
const AIM: Aim = Aim::AtMost(1.3);

const ABOUT: &str = "Retention by the service itself, in a process without its transport and its cache: each round deletes the 10,000 oldest\n\
    messages (a tenth with --quick), with their 100 conversations, the 2 delivery events of each message and its words in the\n\
    index. A request is a message here. The claims are rates of the small database against those of the large one: 1 is no\n\
    difference.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    compared(harness, ("retention", ABOUT), |section, kind| {
        let databases = SIZES.map(|messages| {
            let messages = harness.options.jobs(messages);
            (
                messages,
                Database::indexed(harness, kind, messages, DELIVERY_EVENTS),
            )
        });
        let arms = databases.each_ref().map(|(messages, database)| {
            let gone = Cell::new(0);
            let each = harness.options.jobs(DROPPED);
            Arm::new(format!("of {messages} messages"), move || {
                gone.set(gone.get() + each);
                let run = retention::Args {
                    url: database.url(),
                    database_pid: database.pid(harness),
                    first: gone.get(),
                    messages: each,
                };
                run.measure()
            })
        });
        let subjects = interleaved(&kind.to_string(), rounds(harness), &arms);
        if let [few, many] = subjects.as_slice() {
            section.claims.push(Claim::ratio(few, many, Some(AIM)));
        }
        section.subjects.extend(subjects);
    })
}

/// The small database has enough messages for ten rounds; the last one must not find it empty.
fn rounds(harness: &Harness) -> usize {
    harness.options.rounds().min(5)
}
