//! Many messages against few: what an index makes cheap must stay cheap.

use crate::database::{Database, Kind};
use crate::lab::{Lab, Target};
use crate::load::{Call, Shape};
use crate::report::{Aim, Claim, Section};
use crate::turns::{Arm, in_turn};

const AIM: Aim = Aim::AtMost(1.3);
const SHAPE: Shape = Shape::new(8, 32);

const ABOUT: &str = "GetMessage and ListMessages (a page of 50) of any message or conversation, 8x32, without a cache.\n\
    The claims are rates of the small database against those of the large one: 1 is no difference.";

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    compared(
        lab,
        ("size", ABOUT),
        SHAPE,
        &[(Call::Get, "GetMessage"), (Call::List, "ListMessages")],
    )
}

/// These calls of a small database and of a large one.
pub(super) fn compared(
    lab: &Lab,
    (name, about): (&str, &str),
    shape: Shape,
    calls: &[(Call, &str)],
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
        compare(lab, kind, shape, calls, &mut section);
    }
    vec![section]
}

fn compare(lab: &Lab, kind: Kind, shape: Shape, calls: &[(Call, &str)], section: &mut Section) {
    let (few, many) = lab.options.sizes();
    let served = [few, many].map(|messages| {
        let database = Database::filled(lab, kind, messages);
        let binary = lab.binary.as_ref().expect("checked before");
        let service = lab.serve(binary, &database.url(), &[("CACHE_BACKEND", "off")]);
        (messages, service, database)
    });
    for &(call, name) in calls {
        let arms: Vec<Arm<'_>> = served
            .iter()
            .map(|(messages, service, database)| {
                let target = Target::service(service, database.pid(lab));
                let load = lab.load(&target, call, *messages).shaped(shape);
                Arm::new(format!("{messages} messages"), move || load.measure())
            })
            .collect();
        let case = format!("{name}, {kind}");
        let subjects = in_turn(&case, lab.options.rounds(), &arms);
        if let [few, many] = subjects.as_slice() {
            section.claims.push(Claim::ratio(few, many, Some(AIM)));
        }
        section.subjects.extend(subjects);
    }
}
