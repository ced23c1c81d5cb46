//! Cost of a dispatcher for senders.

use super::{SERVICE_ALONE, section};
use crate::database::{Database, Kind};
use crate::fill::postgres::{connect, run};
use crate::harness::{Harness, Target};
use crate::load::{Call, Shape};
use crate::message::{EPOCH_MS, PER_CONVERSATION};
use crate::report::{Aim, Claim, Sample, Section};
use crate::rounds::{Arm, interleaved};

const MESSAGES: u64 = 100_000;
const AIM: Aim = Aim::AtLeast(0.95);
const SHAPE: Shape = Shape::new(4, 8);

const ABOUT: &str = "SendMessage by 32 clients on Postgres, with the dispatcher (64 workers, the simulator) and without (DELIVERY_WORKERS=0).\n\
    `in an hour`: nothing is due, so this is the cost of the dispatcher's presence for a send.\n\
    `at once`: it delivers on the same cores and the same disk while the clients send as fast as they can, so this compares\n\
    a message that is delivered at once with one that is delivered later: no dispatcher that does its work can reach 1\n\
    where cores are scarce. Its `cpu us` and `db cpu` include the deliveries and the receipts.";

pub(crate) fn measure(harness: &Harness) -> Section {
    let mut section = section("cost for senders", ABOUT);
    if harness.binary.is_none() {
        SERVICE_ALONE.clone_into(&mut section.about);
        return section;
    }
    let database = Database::filled(harness, Kind::Postgres, MESSAGES);
    let url = database.url();
    for (case, call) in [("in an hour", Call::Send), ("at once", Call::SendNow)] {
        let delivered = std::cell::RefCell::new(Vec::new());
        let arm = |name: &str, workers: &'static str| {
            let (url, delivered) = (&url, &delivered);
            Arm::new(name, move || {
                let (sample, share) = sends(harness, url, call, workers);
                if workers != "0" {
                    delivered.borrow_mut().push(share);
                }
                sample
            })
        };
        let arms = [
            arm("without a dispatcher", "0"),
            arm("with a dispatcher", "64"),
        ];
        let subjects = interleaved(case, harness.options.rounds(), &arms);
        drop(arms);
        if let [without, with] = subjects.as_slice() {
            section.claims.push(Claim::ratio(with, without, Some(AIM)));
        }
        if call == Call::SendNow {
            let what = "at once: deliveries per send".to_owned();
            let claim = Claim::new(what, "", &delivered.into_inner(), None);
            section.claims.push(claim);
        }
        section.subjects.extend(subjects);
    }
    section
}

/// Measures sends to a new service on a cleaned database; also returns the number of deliveries per send.
fn sends(harness: &Harness, url: &str, call: Call, workers: &str) -> (Sample, f64) {
    harness.wait(clean(url));
    let binary = harness.binary.as_ref().expect("checked before");
    let service = harness.serve(binary, url, &[("DELIVERY_WORKERS", workers)]);
    let target = Target::service(&service, Some(harness.postgres().pid()));
    let sample = harness
        .load(&target, call, MESSAGES)
        .shaped(SHAPE)
        .measure();
    let [sends, deliveries] = harness.wait(count(url));
    (sample, deliveries / sends.max(1.0))
}

/// Removes everything except the messages that the database was filled with.
async fn clean(url: &str) {
    run(
        url,
        "TRUNCATE deliveries, message_events, idempotency_keys, feed",
    )
    .await;
    let end = EPOCH_MS + MESSAGES;
    let sent =
        format!("DELETE FROM messages WHERE created_at > to_timestamp({end}::float8 / 1000)");
    run(url, &sent).await;
    // New messages continue from here.
    let back = format!(
        "UPDATE conversations SET last_sequence = {PER_CONVERSATION}, message_count = {PER_CONVERSATION}
            WHERE last_sequence <> {PER_CONVERSATION}"
    );
    run(url, &back).await;
    run(url, "VACUUM ANALYZE").await;
    run(url, "CHECKPOINT").await;
}

async fn count(url: &str) -> [f64; 2] {
    const COUNT: &str = "SELECT (SELECT count(*) FROM idempotency_keys)::float8, \
        (SELECT count(*) FROM message_events WHERE kind = 'attempt')::float8";
    let row = connect(url).await.query_one(COUNT, &[]).await;
    let row = row.unwrap_or_else(|e| panic!("{COUNT}: {e:?}"));
    [row.get(0), row.get(1)]
}
