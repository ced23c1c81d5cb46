//! What is past its time goes in a time that depends on how much goes, and not on how much there is.

use std::cell::Cell;

use crate::database::Database;
use crate::fill::STORIES;
use crate::harness::Lab;
use crate::report::{Aim, Claim, Section};
use crate::retention;
use crate::rounds::{Arm, in_turn};
use crate::rows::size::compared;

/// Messages that go in a round, and of how many.
const DROPPED: u64 = 10_000;
const SIZES: [u64; 2] = [100_000, 1_000_000];
const AIM: Aim = Aim::AtMost(1.3);

const ABOUT: &str = "Retention by the service itself, in a process that holds it without its transport and its cache: in each round the 10,000\n\
    oldest messages go (a tenth with --quick), with their 100 conversations, the 2 events of each message and its words in the\n\
    index. A request is a message here. The claims are rates of the small database against those of the large one: 1 is no\n\
    difference.";

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    compared(lab, ("retention", ABOUT), |section, kind| {
        let databases = SIZES.map(|messages| {
            let messages = lab.options.jobs(messages);
            (messages, Database::indexed(lab, kind, messages, STORIES))
        });
        let arms = databases.each_ref().map(|(messages, database)| {
            let gone = Cell::new(0);
            let each = lab.options.jobs(DROPPED);
            Arm::new(format!("of {messages} messages"), move || {
                gone.set(gone.get() + each);
                let forget = retention::Args {
                    url: database.url(),
                    database_pid: database.pid(lab),
                    first: gone.get(),
                    messages: each,
                };
                forget.measure()
            })
        });
        let subjects = in_turn(&kind.to_string(), rounds(lab), &arms);
        if let [few, many] = subjects.as_slice() {
            section.claims.push(Claim::ratio(few, many, Some(AIM)));
        }
        section.subjects.extend(subjects);
    })
}

/// The small database has no more than ten, and the last should not find it empty.
fn rounds(lab: &Lab) -> usize {
    lab.options.rounds().min(5)
}
