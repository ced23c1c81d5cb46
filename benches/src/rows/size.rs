//! Many messages against few: what an index makes fast must stay fast.

use parlance_testkit::Parlance;

use crate::database::{Database, Kind};
use crate::fill::DELIVERY_EVENTS;
use crate::find::{CHANGES, Find};
use crate::harness::{Harness, Target};
use crate::load::{Args, Call, Shape};
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, interleaved};

const AIM: Aim = Aim::AtMost(1.3);
const SHAPE: Shape = Shape::new(8, 32);
/// Long enough: more calls would only take longer.
pub(super) const SECONDS: f64 = 2.0;

const ABOUT: &str = "GetMessage, BatchGetMessages (20), ListMessageEvents (2), ListMessages (a page of 50) and GetConversation of any message\n\
    or conversation; SearchMessages (a page of 50) of a word that every second message has, of one that every hundredth has,\n\
    and without a word. 8x32, without a cache.\n\
    The claims are rates of the small database against those of the large one: 1 is no difference.";

/// A service on a database with a number of messages.
pub(super) struct Served {
    pub(super) messages: u64,
    service: Parlance,
    database: Database,
}

impl Served {
    /// Starts the service without a cache.
    pub(super) fn new(harness: &Harness, messages: u64, database: Database) -> Self {
        let binary = harness.binary.as_ref().expect("rows without it end before");
        let service = harness.serve(binary, &database.url(), &[("CACHE_BACKEND", "off")]);
        Self {
            messages,
            service,
            database,
        }
    }

    /// Returns a load for the configured duration, or `SECONDS`.
    pub(super) fn load(&self, harness: &Harness, call: Call, shape: Shape) -> Args {
        let target = Target::service(&self.service, self.database.pid(harness));
        let mut load = harness.load(&target, call, self.messages).shaped(shape);
        load.seconds = harness.options.seconds_or(SECONDS);
        load
    }
}

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let calls = [
        ("GetMessage", Call::Get, Find::Newest),
        ("BatchGetMessages", Call::Batch, Find::Newest),
        ("ListMessageEvents", Call::Events, Find::Newest),
        ("ListMessages", Call::List, Find::Newest),
        ("GetConversation", Call::Conversation, Find::Newest),
        ("SearchMessages, every second", Call::Find, Find::Half),
        (
            "SearchMessages, every hundredth",
            Call::Find,
            Find::Hundredth,
        ),
        ("SearchMessages, no word", Call::Find, Find::Newest),
    ];
    // In this order: the changed messages had been delivered before.
    let change = format!("{DELIVERY_EVENTS}; {CHANGES}");
    let fill = |kind, messages| Database::indexed(harness, kind, messages, &change);
    compared(harness, ("size", ABOUT), |section, kind| {
        let served = pair(harness, |messages| fill(kind, messages));
        for (name, call, find) in calls {
            compare(harness, section, &served, (name, kind), &|served| {
                let mut load = served.load(harness, call, SHAPE);
                load.find = find;
                load
            });
        }
    })
}

/// Starts services on the small and on the large database.
pub(super) fn pair(harness: &Harness, fill: impl Fn(u64) -> Database) -> [Served; 2] {
    let (few, many) = harness.options.sizes();
    [few, many].map(|messages| Served::new(harness, messages, fill(messages)))
}

/// Returns a section about both kinds of databases.
pub(super) fn compared(
    harness: &Harness,
    (name, about): (&str, &str),
    measure: impl Fn(&mut Section, Kind),
) -> Vec<Section> {
    let mut section = Section {
        name: name.to_owned(),
        about: about.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    if harness.binary.is_none() {
        "not measured: it concerns the service only".clone_into(&mut section.about);
        return vec![section];
    }
    for kind in [Kind::Sqlite, Kind::Postgres] {
        measure(&mut section, kind);
    }
    vec![section]
}

/// Compares the same load on the small and on the large database.
pub(super) fn compare(
    harness: &Harness,
    section: &mut Section,
    served: &[Served; 2],
    (name, kind): (&str, Kind),
    load: &dyn Fn(&Served) -> Args,
) {
    let arms = served.each_ref().map(|served| {
        let load = load(served);
        Arm::new(format!("{} messages", served.messages), move || {
            load.measure()
        })
    });
    let case = format!("{name}, {kind}");
    let subjects = interleaved(&case, harness.options.rounds(), &arms);
    if let [few, many] = subjects.as_slice() {
        section.claims.push(Claim::ratio(few, many, Some(AIM)));
    }
    section.subjects.extend(subjects);
}
