//! What is counted, and what lies behind much else, must cost the same however much there is.

use std::cell::RefCell;
use std::thread;

use crate::database::{Database, Kind};
use crate::harness::Lab;
use crate::load::{Args, Call, Shape};
use crate::message::Talks;
use crate::report::{Aim, Claim, Sample, Section};
use crate::rounds::{Arm, in_turn};
use crate::rows::size::{Served, compare, compared, pair};

/// One at a time: how long somebody waits.
const SHAPE: Shape = Shape::new(1, 1);
const WAIT: Aim = Aim::AtMost(10.0);

const ABOUT: &str = "Each database has its messages in conversations of 100, and as many again in one long conversation. GetStats of the\n\
    whole owner; the first of all conversations, and their last page by its token, both with their total; the last 10 messages\n\
    of the long conversation by `after_sequence`, and by the token of their page, both with its total. One call at a time,\n\
    without a cache. Of these the claims are rates of the small database against those of the large one: 1 is no difference.\n\
    Then GetStats of the owner and of any of 1,000 users of the large one, 99th percentiles in milliseconds: while nothing else\n\
    happens, and while one client sends message after message, which the simulator takes and reports as delivered.";

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let calls = [
        (Call::Stats, "GetStats"),
        (Call::Total, "ListConversations, first page"),
        (Call::LastConversations, "ListConversations, last page"),
        (Call::LastPage, "ListMessages, last page by its place"),
        (Call::LastByToken, "ListMessages, last page by its token"),
    ];
    compared(lab, ("stats", ABOUT), |section, kind| {
        let served = pair(lab, |messages| {
            let talks = [Talks::short(messages), Talks::long(messages)];
            Database::with(lab, kind, &talks)
        });
        for (call, name) in calls {
            compare(lab, section, &served, (name, kind), &|served| {
                served.load(lab, call, SHAPE)
            });
        }
        let [_, large] = &served;
        wait(lab, section, kind, large);
    })
}

/// How long statistics take, quiet and while messages are sent.
fn wait(lab: &Lab, section: &mut Section, kind: Kind, served: &Served) {
    let sends = RefCell::new(Vec::new());
    let load = |call| served.load(lab, call, SHAPE);
    let quiet = |name: &str, call| {
        let load = load(call);
        Arm::new(name, move || load.measure())
    };
    let busy = |name: &str, call| {
        let (load, send, sends) = (load(call), load(Call::SendNow), &sends);
        Arm::new(name, move || {
            let (sample, rate) = meanwhile(&load, &send);
            sends.borrow_mut().push(rate);
            sample
        })
    };
    let arms = [
        quiet("of the owner", Call::Stats),
        quiet("of a user", Call::UserStats),
        busy("of the owner, while sending", Call::Stats),
        busy("of a user, while sending", Call::UserStats),
    ];
    let case = format!("GetStats, {kind}");
    let subjects = in_turn(&case, lab.options.rounds(), &arms);
    drop(arms);
    let claims = subjects.iter().map(|subject| {
        let millis = |sample: &Sample| sample.p99_us.map_or(f64::NAN, |micros| micros / 1e3);
        let millis: Vec<f64> = subject.rounds.iter().map(millis).collect();
        let what = format!("{case}: {}, p99", subject.name);
        Claim::new(what, " ms", &millis, Some(WAIT))
    });
    section.claims.extend(claims);
    section.subjects.extend(subjects);
    let what = format!("{case}: sends a second meanwhile");
    let claim = Claim::new(what, "", &sends.into_inner(), None);
    section.claims.push(claim);
}

/// What was measured while something else was called; and how often a second that was.
fn meanwhile(load: &Args, other: &Args) -> (Sample, f64) {
    let (warmup, seconds) = (0.0, load.warmup + load.seconds);
    let other = Args {
        warmup,
        seconds,
        ..other.clone()
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| other.measure());
        let sample = load.measure();
        let other = other.join().expect("a load ends in order");
        let failed = Sample {
            errors: sample.errors + other.errors,
            first_error: sample.first_error.clone().or(other.first_error),
            ..sample
        };
        (failed, other.rate)
    })
}
