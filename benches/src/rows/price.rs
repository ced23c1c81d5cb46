//! Cost of cache coherence for a write: the service against one `DEL` of the same keys after the commit, and against no
//! cache.

use parlance_testkit::{Parlance, Redis};

use crate::database::{Database, Kind};
use crate::harness::{self, Harness, Target};
use crate::load::{self, Call, Shape};
use crate::report::{Aim, Claim, Section};
use crate::rounds::{Arm, interleaved};

const MESSAGES: u64 = 100_000;
const OURS: &str = "parlance, redis";
const HYBRID: &str = "parlance, hybrid";
const DELETE: &str = "delete after commit";
const OFF: &str = "parlance, off";
/// At most a tenth of the rate is lost.
const AIM: Aim = Aim::AtLeast(0.9);
const ONE: Shape = Shape::new(1, 1);
const MANY: Shape = Shape::new(4, 8);
const CASES: [(&str, Call, Shape); 4] = [
    ("SendMessage, 1 at once", Call::Send, ONE),
    ("SendMessage, 32 at once", Call::Send, MANY),
    ("UpdateMessageStatus, 32 at once", Call::Report, MANY),
    ("MarkAsRead, 32 at once", Call::Mark, MANY),
];
/// Makes the conversations practically endless, so that each `MarkAsRead` changes its row.
const ENDLESS: &str = "UPDATE conversations SET last_sequence = 4000000000000000";

const ABOUT: &str = "SendMessage into 1,000 conversations on Postgres, every commit durable. Delete after commit is the same service,\n\
    except that its writes do nothing before the commit and one DEL of all their keys after it, as cache-aside usually does.\n\
    UpdateMessageStatus of 100,000 messages, and MarkAsRead of the conversations: each call changes its row.";

struct Subject {
    name: &'static str,
    service: Parlance,
    redis: Redis,
    _database: Database,
}

pub(crate) fn measure(harness: &Harness) -> Vec<Section> {
    let mut section = Section {
        name: "price".to_owned(),
        about: ABOUT.to_owned(),
        subjects: Vec::new(),
        claims: Vec::new(),
    };
    let Some(binary) = &harness.binary else {
        "not measured: it concerns the service only".clone_into(&mut section.about);
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
        let database = Database::filled(harness, Kind::Postgres, MESSAGES);
        database.run(harness, ENDLESS);
        let redis = Redis::start();
        let env = [("CACHE_BACKEND", backend), ("REDIS_URL", redis.url())];
        let service = harness.serve_as(binary, &database.url(), &env, rival);
        Subject {
            name,
            service,
            redis,
            _database: database,
        }
    });
    let postgres = harness.postgres().pid();
    let target = |subject: &Subject| Target::service(&subject.service, Some(postgres));
    for subject in &subjects {
        let load = harness.load(&target(subject), Call::Send, MESSAGES);
        section.about += &commands(subject, &load);
    }
    for (case, call, shape) in CASES {
        let arms = subjects.iter().map(|subject| {
            let load = harness.load(&target(subject), call, MESSAGES).shaped(shape);
            Arm::new(subject.name, move || load.measure())
        });
        let arms: Vec<Arm<'_>> = arms.collect();
        let measured = interleaved(case, harness.options.rounds(), &arms);
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

/// Returns the number of Redis commands per write.
fn commands(subject: &Subject, load: &load::Args) -> String {
    let client = redis::Client::open(subject.redis.url());
    let mut redis = client
        .and_then(|client| client.get_connection())
        .expect("Redis answers");
    // A first run, until scripts are loaded and the gate is open.
    load.measure();
    let load = load::Args {
        warmup: 0.0,
        ..load.clone()
    };
    let before = CommandCounts::of(&mut redis);
    let writes = load.measure().requests.max(1) as f64;
    let after = CommandCounts::of(&mut redis);
    format!(
        "\n{}: {:.1} scripts per write; including the commands they call, {:.1} Redis commands per write",
        subject.name,
        (after.scripts - before.scripts) / writes,
        (after.all - before.all) / writes,
    )
}

/// Numbers of calls of commands.
#[derive(Debug, Default)]
struct CommandCounts {
    scripts: f64,
    all: f64,
}

impl CommandCounts {
    fn of(redis: &mut redis::Connection) -> Self {
        let info: String = redis::cmd("INFO")
            .arg("commandstats")
            .query(redis)
            .expect("Redis returns command statistics");
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
            // Commands of the gate keeper and of this program do not belong to writes.
            if !matches!(name, "ping" | "info" | "hello") {
                counted.all += calls;
            }
        }
        counted
    }
}
