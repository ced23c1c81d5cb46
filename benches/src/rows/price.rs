//! What coherence costs a write: ours against one `DEL` of the same keys after the commit, and against no cache.

use parlance_testkit::{Parlance, Redis};

use crate::database::{Database, Kind};
use crate::harness::{self, Lab, Target};
use crate::load::{self, Call, Shape};
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, in_turn};

const MESSAGES: u64 = 100_000;
const OURS: &str = "parlance, redis";
const HYBRID: &str = "parlance, hybrid";
const DELETE: &str = "delete after commit";
const OFF: &str = "parlance, off";
/// At most a tenth of the rate.
const AIM: Aim = Aim::AtLeast(0.9);
const ONE: Shape = Shape::new(1, 1);
const MANY: Shape = Shape::new(4, 8);
const CASES: [(&str, Call, Shape); 4] = [
    ("SendMessage, 1 at once", Call::Send, ONE),
    ("SendMessage, 32 at once", Call::Send, MANY),
    ("UpdateMessageStatus, 32 at once", Call::Report, MANY),
    ("MarkAsRead, 32 at once", Call::Mark, MANY),
];
/// Conversations that no reader comes to the end of, so that each that is marked as read changes.
const ENDLESS: &str = "UPDATE conversations SET last_sequence = 4000000000000000";

const ABOUT: &str = "SendMessage into 1,000 conversations on Postgres, every commit durable. Delete after commit is the same service\n\
    whose writes do nothing before the commit and one DEL of all their keys after it, as cache-aside is mostly done.\n\
    UpdateMessageStatus of 100,000 messages, and MarkAsRead of the conversations: each changes its row.";

struct Subject {
    name: &'static str,
    service: Parlance,
    redis: Redis,
    _database: Database,
}

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let mut section = Section {
        name: "price".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = &lab.binary else {
        "not measured: it is about the service alone".clone_into(&mut section.about);
        return vec![section];
    };
    let rivals = harness::build("parlance-tests", "prove");
    let subjects = [
        (DELETE, "redis", rivals.as_path(), Some("delete")),
        (OURS, "redis", binary, None),
        (HYBRID, "hybrid", binary, None),
        (OFF, "off", binary, None),
    ];
    let subjects = subjects.map(|(name, backend, binary, rival)| {
        let database = Database::filled(lab, Kind::Postgres, MESSAGES);
        database.run(lab, ENDLESS);
        let redis = Redis::start();
        let env = [("CACHE_BACKEND", backend), ("REDIS_URL", redis.url())];
        let service = lab.serve_as(binary, &database.url(), &env, rival);
        Subject {
            name,
            service,
            redis,
            _database: database,
        }
    });
    let postgres = lab.postgres().pid();
    let target = |subject: &Subject| Target::service(&subject.service, Some(postgres));
    for subject in &subjects {
        let load = lab.load(&target(subject), Call::Send, MESSAGES);
        section.about += &commands(subject, &load);
    }
    for (case, call, shape) in CASES {
        let arms = subjects.iter().map(|subject| {
            let load = lab.load(&target(subject), call, MESSAGES).shaped(shape);
            Arm::new(subject.name, move || load.measure())
        });
        let arms: Vec<Arm<'_>> = arms.collect();
        let measured = in_turn(case, lab.options.rounds(), &arms);
        if let [delete, ours, hybrid, off] = measured.as_slice() {
            section.claims.extend([
                Claim::ratio(ours, delete, Some(AIM)),
                Claim::ratio(hybrid, delete, Some(AIM)),
                Claim::ratio(ours, off, None),
            ]);
        }
        section.subjects.extend(measured);
    }
    vec![section]
}

/// What Redis does for a write.
fn commands(subject: &Subject, load: &load::Args) -> String {
    let client = redis::Client::open(subject.redis.url());
    let mut redis = client
        .and_then(|client| client.get_connection())
        .expect("Redis answers");
    // Until scripts are loaded and the gate is open.
    load.measure();
    let load = load::Args {
        warmup: 0.0,
        ..load.clone()
    };
    let before = Counted::of(&mut redis);
    let writes = load.measure().requests.max(1) as f64;
    let after = Counted::of(&mut redis);
    format!(
        "\n{}: {:.1} scripts a write; with what they call and other commands, {:.1} Redis commands a write",
        subject.name,
        (after.scripts - before.scripts) / writes,
        (after.all - before.all) / writes,
    )
}

/// How often commands were called.
#[derive(Debug, Default)]
struct Counted {
    scripts: f64,
    all: f64,
}

impl Counted {
    fn of(redis: &mut redis::Connection) -> Self {
        let info: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(redis)
            .expect("Redis tells of its commands");
        let mut counted = Self::default();
        for line in info.lines() {
            let named = line
                .strip_prefix("cmdstat_")
                .and_then(|l| l.split_once(":calls="));
            let Some((name, rest)) = named else { continue };
            let calls = rest.split(',').next().and_then(|calls| calls.parse().ok());
            let calls: f64 = calls.unwrap_or_default();
            if name.starts_with("eval") {
                counted.scripts += calls;
            }
            // Those of the keeper and of this program are no write's.
            if !matches!(name, "ping" | "info" | "hello") {
                counted.all += calls;
            }
        }
        counted
    }
}
