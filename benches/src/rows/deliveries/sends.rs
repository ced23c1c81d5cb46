//! What a dispatcher costs those who send.

use super::{SERVICE_ALONE, section};
use crate::database::{Database, Kind};
use crate::fill::postgres::{connect, run};
use crate::harness::{Lab, Target};
use crate::load::{Call, Shape};
use crate::message::{EPOCH_MS, PER_CONVERSATION};
use crate::report::{Aim, Claim, Sample, Section};
use crate::rounds::{Arm, in_turn};

const MESSAGES: u64 = 100_000;
const AIM: Aim = Aim::AtLeast(0.95);
const SHAPE: Shape = Shape::new(4, 8);

const ABOUT: &str = "SendMessage by 32 clients on Postgres, with the dispatcher (64 workers, the simulator) and without (DELIVERY_WORKERS=0).\n\
    `in an hour`: nothing is due, so this is what the dispatcher's presence costs a send.\n\
    `at once`: it delivers on the same cores and the same disk while the clients send as fast as they can, so this is what\n\
    a message costs whose delivery is paid at once, against one whose delivery is left for later: no dispatcher that does\n\
    its work can reach 1 where cores are scarce. Its `cpu us` and `db cpu` include the deliveries and the receipts.";

pub(crate) fn measure(lab: &Lab) -> Section {
    let mut section = section("what sends pay", ABOUT);
    if lab.binary.is_none() {
        SERVICE_ALONE.clone_into(&mut section.about);
        return section;
    }
    let database = Database::filled(lab, Kind::Postgres, MESSAGES);
    let url = database.url();
    for (case, call) in [("in an hour", Call::Send), ("at once", Call::SendNow)] {
        let delivered = std::cell::RefCell::new(Vec::new());
        let arm = |name: &str, workers: &'static str| {
            let (url, delivered) = (&url, &delivered);
            Arm::new(name, move || {
                let (sample, share) = sends(lab, url, call, workers);
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
        let subjects = in_turn(case, lab.options.rounds(), &arms);
        drop(arms);
        if let [without, with] = subjects.as_slice() {
            section.claims.push(Claim::ratio(with, without, Some(AIM)));
        }
        if call == Call::SendNow {
            let what = "at once: deliveries for each send meanwhile".to_owned();
            let claim = Claim::new(what, "", &delivered.into_inner(), None);
            section.claims.push(claim);
        }
        section.subjects.extend(subjects);
    }
    section
}

/// Sends to a service of its own, on a database without what an earlier one has left; and how many deliveries there were for
/// each send.
fn sends(lab: &Lab, url: &str, call: Call, workers: &str) -> (Sample, f64) {
    lab.wait(clean(url));
    let binary = lab.binary.as_ref().expect("checked before");
    let service = lab.serve(binary, url, &[("DELIVERY_WORKERS", workers)]);
    let target = Target::service(&service, Some(lab.postgres().pid()));
    let sample = lab.load(&target, call, MESSAGES).shaped(SHAPE).measure();
    let [sends, deliveries] = lab.wait(count(url));
    (sample, deliveries / sends.max(1.0))
}

/// Leaves the messages that the database was filled with, and nothing else.
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
    // What is sent now goes on from here.
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
