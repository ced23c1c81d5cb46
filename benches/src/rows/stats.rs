//! Statistics and last pages must cost the same regardless of the amount of data.

use std::cell::RefCell;
use std::thread;

use crate::database::{Database, Kind};
use crate::harness::Harness;
use crate::load::{Args, Call, Shape};
use crate::message::ConversationSet;
use crate::report::{Aim, Claim, Sample, Section};
use crate::rounds::{Arm, interleaved};
use crate::rows::size::{Served, compare, compared, pair};

/// One call at a time: the delay that a caller sees.
const SHAPE: Shape = Shape::new(1, 1);
const WAIT: Aim = Aim::AtMost(10.0);

const ABOUT: &str = "Each database has its messages in conversations of 100, and as many again in one long conversation. GetStats of the\n\
    whole owner; the first of all conversations, and their last page by its token, both with their total; the last 10 messages\n\
    of the long conversation by `after_sequence`, and by the token of their page, both with its total. One call at a time,\n\
    without a cache. The claims for these are rates of the small database against those of the large one: 1 is no difference.\n\
    Then GetStats of the owner and of any of 1,000 users of the large one, 99th percentiles in milliseconds: without other\n\
    load, and while one client sends continuously to the simulator, which accepts and reports each message as delivered.";

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let calls = [
        (Call::Stats, "GetStats"),
        (Call::Total, "ListConversations, first page"),
        (Call::LastConversations, "ListConversations, last page"),
        (Call::LastPage, "ListMessages, last page by sequence"),
        (Call::LastByToken, "ListMessages, last page by its token"),
    ];
    compared(harness, ("stats", ABOUT), |section, kind| {
        let served = pair(harness, |messages| {
            let sets = [
                ConversationSet::short(messages),
                ConversationSet::long(messages),
            ];
            Database::with(harness, kind, &sets)
        });
        for (call, name) in calls {
            compare(harness, section, &served, (name, kind), &|served| {
                served.load(harness, call, SHAPE)
            });
        }
        let [_, large] = &served;
        wait(harness, section, kind, large);
    })
}

/// Measures the latency of statistics, without other load and while messages are sent.
fn wait(harness: &Harness, section: &mut Section, kind: Kind, served: &Served) {
    let sends = RefCell::new(Vec::new());
    let load = |call| served.load(harness, call, SHAPE);
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
    let subjects = interleaved(&case, harness.options.rounds(), &arms);
    drop(arms);
    let claims = subjects.iter().map(|subject| {
        let millis = |sample: &Sample| sample.p99_us.map_or(f64::NAN, |micros| micros / 1e3);
        let millis: Vec<f64> = subject.rounds.iter().map(millis).collect();
        let what = format!("{case}: {}, p99", subject.name);
        Claim::new(what, " ms", &millis, Some(WAIT))
    });
    section.claims.extend(claims);
    section.subjects.extend(subjects);
    let what = format!("{case}: concurrent sends per second");
    let claim = Claim::new(what, "", &sends.into_inner(), None);
    section.claims.push(claim);
}

/// Measures a load while another one runs; also returns the rate of the other.
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
        let other = other.join().expect("a load does not panic");
        let failed = Sample {
            errors: sample.errors + other.errors,
            first_error: sample.first_error.clone().or(other.first_error),
            ..sample
        };
        (failed, other.rate)
    })
}
