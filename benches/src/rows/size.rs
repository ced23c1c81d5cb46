//! Many messages against few: what an index makes cheap must stay cheap.

use parlance_testkit::Parlance;

use crate::database::{Database, Kind};
use crate::fill::STORIES;
use crate::find::{CHANGES, Find};
use crate::harness::{Lab, Target};
use crate::load::{Args, Call, Shape};
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, in_turn};

const AIM: Aim = Aim::AtMost(1.3);
const SHAPE: Shape = Shape::new(8, 32);
/// So many calls fit into them that more would only take longer.
pub(super) const SECONDS: f64 = 2.0;

const ABOUT: &str = "GetMessage, BatchGetMessages (20), ListMessageEvents (2), ListMessages (a page of 50) and GetConversation of any message\n\
    or conversation; SearchMessages (a page of 50) of a word that every second message has, of one that every hundredth has,\n\
    and without a word. 8x32, without a cache.\n\
    The claims are rates of the small database against those of the large one: 1 is no difference.";

/// A service on a database with so many messages.
pub(super) struct Served {
    pub(super) messages: u64,
    service: Parlance,
    database: Database,
}

impl Served {
    /// Without a cache.
    pub(super) fn new(lab: &Lab, messages: u64, database: Database) -> Self {
        let binary = lab.binary.as_ref().expect("rows without it end before");
        let service = lab.serve(binary, &database.url(), &[("CACHE_BACKEND", "off")]);
        Self {
            messages,
            service,
            database,
        }
    }

    /// For as long as is said, or `SECONDS`.
    pub(super) fn load(&self, lab: &Lab, call: Call, shape: Shape) -> Args {
        let target = Target::service(&self.service, self.database.pid(lab));
        let mut load = lab.load(&target, call, self.messages).shaped(shape);
        load.seconds = lab.options.seconds_or(SECONDS);
        load
    }
}

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let calls = [
        ("GetMessage", Call::Get, Find::Newest),
        ("BatchGetMessages", Call::Batch, Find::Newest),
        ("ListMessageEvents", Call::Story, Find::Newest),
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
    // In this order: what is changed had arrived before.
    let change = format!("{STORIES}; {CHANGES}");
    let fill = |kind, messages| Database::indexed(lab, kind, messages, &change);
    compared(lab, ("size", ABOUT), |section, kind| {
        let served = pair(lab, |messages| fill(kind, messages));
        for (name, call, find) in calls {
            compare(lab, section, &served, (name, kind), &|served| {
                let mut load = served.load(lab, call, SHAPE);
                load.find = find;
                load
            });
        }
    })
}

/// The small one and the large one.
pub(super) fn pair(lab: &Lab, fill: impl Fn(u64) -> Database) -> [Served; 2] {
    let (few, many) = lab.options.sizes();
    [few, many].map(|messages| Served::new(lab, messages, fill(messages)))
}

/// A section about both databases.
pub(super) fn compared(
    lab: &Lab,
    (name, about): (&str, &str),
    measure: impl Fn(&mut Section, Kind),
) -> Vec<Section> {
    let mut section = Section {
        name: name.to_owned(),
        about: about.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    if lab.binary.is_none() {
        "not measured: it is about the service alone".clone_into(&mut section.about);
        return vec![section];
    }
    for kind in [Kind::Sqlite, Kind::Postgres] {
        measure(&mut section, kind);
    }
    vec![section]
}

/// The same load on the small one and on the large one.
pub(super) fn compare(
    lab: &Lab,
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
    let subjects = in_turn(&case, lab.options.rounds(), &arms);
    if let [few, many] = subjects.as_slice() {
        section.claims.push(Claim::ratio(few, many, Some(AIM)));
    }
    section.subjects.extend(subjects);
}
