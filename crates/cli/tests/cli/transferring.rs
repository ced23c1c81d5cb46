//! Tests of `import`, `export` and `seed`.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::thread::JoinHandle;

use parlance_testkit::{Parlance, SqliteFile, eventually};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{LONG, OURS, THEIRS, ephemeral, object, objects, program, run, run_at, text};

/// Chat sessions as another program would dump them.
const SESSIONS: &str = r#"{
  "s1": {
    "messages": [
      {"role": "user", "content": "Where is my parcel?", "timestamp": "2024-05-01T10:00:00.250000"},
      {"role": "assistant", "content": "At the depot.", "timestamp": "2024-05-01T10:00:02", "tokens": 42}
    ],
    "context": {"page": "cart", "visits": 3},
    "created_at": "2024-05-01 10:00:00"
  },
  "s2": {"messages": [], "context": {}}
}"#;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        shown(&self.path(name))
    }
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn counts(done: &Value) -> [i64; 4] {
    [
        "importedConversations",
        "importedMessages",
        "skipped",
        "refused",
    ]
    .map(|name| done[name].as_i64().unwrap())
}

/// Compares line by line, so that a failure shows the line that differs.
fn assert_same(left: &str, right: &str) {
    for (number, (left, right)) in (1..).zip(left.lines().zip(right.lines())) {
        assert_eq!(left, right, "line {number}");
    }
    assert_eq!(left.len(), right.len());
}

#[tokio::test]
async fn sessions_become_chats() {
    let (service, files) = (ephemeral().await, Files::new());
    let file = files.write("sessions.json", SESSIONS);
    let line = ["import", "--owner", "acme", "--user", "ana", file.as_str()];
    let printed = run(&service, &line).await;
    assert_eq!(
        printed,
        "imported 2 conversations and 2 messages; skipped 0 existing messages; rejected 0 sessions\n"
    );
    let again = object(&service, &line).await;
    assert_eq!(counts(&again), [0, 0, 2, 0]);

    let list = objects(&service, &["list", "--owner", "acme"]).await;
    let found = list.iter().find(|one| text(one, "externalId") == "s1");
    let found = found.unwrap();
    assert_eq!(text(found, "user"), "ana");
    assert_eq!(text(found, "createdAt"), "2024-05-01T10:00:00Z");
    assert_eq!(found["metadata"]["visits"], 3.0);
    let messages = objects(&service, &["list", "--owner", "acme", text(found, "id")]).await;
    assert_eq!(text(&messages[0], "createdAt"), "2024-05-01T10:00:00.250Z");
    assert_eq!(text(&messages[1], "role"), "ROLE_ASSISTANT");
    assert_eq!(text(&messages[1], "tokensUsed"), "42");
    let found = objects(&service, &["search", "--owner", "acme", "depot"]).await;
    assert_eq!(found.len(), 1);

    let exported = run(&service, &["export", "--owner", "acme"]).await;
    let expected = concat!(
        r#"{"session_id":"s1","user":"ana","created_at":"2024-05-01T10:00:00Z","context":{"page":"cart","visits":3},"#,
        r#""messages":[{"role":"user","content":"Where is my parcel?","created_at":"2024-05-01T10:00:00.250Z"},"#,
        r#"{"role":"assistant","content":"At the depot.","created_at":"2024-05-01T10:00:02Z","tokens_used":42}]}"#,
    );
    assert!(exported.lines().any(|line| line == expected), "{exported}");
    assert_eq!(run(&service, &["export"]).await, "", "of another owner");
}

#[tokio::test]
async fn an_invalid_line_is_reported_and_stops_the_import_or_is_skipped() {
    let (service, files) = (ephemeral().await, Files::new());
    let lines = concat!(
        "{\"session_id\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"1\"}]}\n",
        "\n",
        "{\"session_id\":\"b\",\"mess\n",
        "{\"session_id\":\"c\",\"messages\":[{\"role\":\"robot\",\"content\":\"1\"}]}\n",
        "{\"session_id\":\"d\",\"messages\":[{\"role\":\"user\",\"content\":\"1\",\"tokens\":-1}]}\n",
        "{\"session_id\":\"e\",\"messages\":[{\"role\":\"user\",\"content\":\"1\"}]}\n",
    );
    let file = files.write("sessions.jsonl", lines);
    let stopped = run_at(&service.grpc_url(), &["import", &file]).await;
    assert_eq!(stopped.status.code(), Some(1));
    assert!(
        stopped.stderr.contains("line 3: invalid JSON"),
        "{stopped:?}"
    );
    assert!(stopped.stderr.contains("--on-error skip"), "{stopped:?}");
    let imported = run(&service, &["export"]).await;
    assert_eq!(
        imported.lines().count(),
        1,
        "the sessions before the invalid line: {imported}"
    );

    let line = ["import", "--on-error", "skip", "--json", &file];
    let skipped = run_at(&service.grpc_url(), &line).await;
    assert!(skipped.status.success(), "{skipped:?}");
    let done: Value = serde_json::from_str(&skipped.stdout).unwrap();
    assert_eq!(counts(&done), [1, 1, 1, 3]);
    for error in [
        "line 3: invalid JSON",
        "line 4: messages[0].role: unknown value \"robot\"",
        "line 5: d: messages[0].tokens_used: must not be negative (INVALID_REQUEST)",
    ] {
        assert!(skipped.stderr.contains(error), "{error}: {skipped:?}");
    }

    let cut_off = files.write("cut.json", r#"[{"session_id":"f","messages":[]},{"#);
    let failed = run_at(&service.grpc_url(), &["import", &cut_off]).await;
    assert!(
        failed.stderr.contains("cannot read ") && failed.stderr.contains(": EOF"),
        "{failed:?}"
    );
    let none = run_at(&service.grpc_url(), &["import", "/no/such/file"]).await;
    assert_eq!(none.status.code(), Some(2));
    let refused = run_at("127.0.0.1:1", &["import", &file]).await;
    assert!(refused.stderr.contains("parlance serve"), "{refused:?}");
}

/// For every channel: an export that is imported into an empty database and exported again is the same to the byte.
#[tokio::test]
async fn an_imported_export_is_exported_the_same() {
    let (service, empty, files) = (ephemeral().await, ephemeral().await, Files::new());
    let line = ["seed", "--messages", "700", "--seed", "7"];
    let seeded = object(&service, &line).await;
    let [conversations, messages, skipped, refused] = counts(&seeded);
    assert_eq!((messages, skipped, refused), (700, 0, 0));
    assert_eq!(
        counts(&object(&service, &line).await),
        [0, 0, 700, 0],
        "repeated runs add nothing"
    );
    run(&service, &["send", "--chat", "live", "said just now"]).await;
    run(
        &service,
        &["send", "--chat", "", "--role", "assistant", "nameless"],
    )
    .await;
    // None of the generated messages is to be sent.
    let stats = object(&service, &["stats"]).await;
    for by in stats["messagesBy"].as_array().unwrap() {
        let status = text(by, "status");
        assert!(
            !["PENDING", "SENDING", "SCHEDULED"]
                .iter()
                .any(|open| status.ends_with(open))
        );
    }
    assert_eq!(text(&stats, "unreadCount"), "0");

    let file = shown(&files.path("all.jsonl"));
    run(&service, &["export", "-o", &file]).await;
    let exported = fs::read_to_string(&file).unwrap();
    let lines = i64::try_from(exported.lines().count()).unwrap();
    assert_eq!(lines, conversations + 2);
    let done = object(&empty, &["import", &file]).await;
    assert_eq!(counts(&done), [lines, 702, 0, 0]);
    let again = run(&empty, &["export"]).await;
    assert_same(&exported, &again);

    let done = object(&empty, &["import", &file]).await;
    assert_eq!(counts(&done), [0, 0, 702, 0]);
    let users = object(&empty, &["stats", "--user", "dana@harborpine.example"]).await;
    assert_ne!(text(&users, "messageCount"), "0");
    let found = objects(&empty, &["search", "refund", "--limit", "3"]).await;
    assert_eq!(found.len(), 3);
}

/// An import takes messages of a final status only.
#[tokio::test]
async fn an_export_omits_messages_that_are_still_to_be_sent() {
    let (service, empty, files) = (ephemeral().await, ephemeral().await, Files::new());
    let to = ["send", "--from", OURS, "--to", THEIRS];
    let scheduled = [&to[..], &["--at", "2100-01-01T10:00:00Z", "Later"]].concat();
    run(&service, &scheduled).await;
    run(
        &service,
        &["reply", "--to", OURS, "--from", THEIRS, "Hello"],
    )
    .await;

    let file = shown(&files.path("all.jsonl"));
    let exported = run_at(&service.grpc_url(), &["export", "-o", &file]).await;
    assert!(exported.status.success(), "{exported:?}");
    let note = "omitted 1 messages that are still to be sent";
    assert!(exported.stderr.contains(note), "{exported:?}");
    let done = object(&empty, &["import", &file]).await;
    assert_eq!(counts(&done), [1, 1, 0, 0]);
    let again = run(&empty, &["export"]).await;
    assert_same(&fs::read_to_string(&file).unwrap(), &again);
}

async fn on(file: &SqliteFile) -> Parlance {
    program().database_url(file.url()).start().await
}

/// A named pipe without an end: its reader waits until the pipe is released.
struct Endless {
    writing: JoinHandle<()>,
    _end: mpsc::Sender<()>,
}

impl Endless {
    fn at(path: &Path, lines: &str) -> Self {
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
        let all = lines.lines().count();
        let lines: Vec<&str> = lines.split_inclusive('\n').take(all / 10 * 9).collect();
        let (path, lines) = (path.to_owned(), lines.concat());
        let (end, ended) = mpsc::channel();
        let writing = std::thread::spawn(move || {
            let mut file = File::options().write(true).open(path).unwrap();
            // The write fails if the reader has exited because the service was killed.
            let _ = file.write_all(lines.as_bytes());
            let _ = ended.recv();
        });
        Self { writing, _end: end }
    }

    fn release(self) {
        let Self { writing, _end: end } = self;
        drop(end);
        writing.join().unwrap();
    }
}

/// The service is killed while the command runs; the same command completes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_import_is_completed_by_the_same_command() {
    let (origin, files) = (ephemeral().await, Files::new());
    run(&origin, &["seed", "--messages", "3000"]).await;
    let exported = run(&origin, &["export"]).await;
    let path = files.path("all.jsonl");
    let endless = Endless::at(&path, &exported);
    let file = shown(&path);

    let database = SqliteFile::new();
    let mut service = on(&database).await;
    let url = service.grpc_url();
    let line = ["import", file.as_str()];
    let importing = run_at(&url, &line);
    let killing = async {
        eventually(LONG, async || {
            let stats = object(&service, &["stats"]).await;
            (text(&stats, "messageCount").parse::<i64>().unwrap() > 300).then_some(())
        })
        .await;
        service.kill9();
        endless.release();
    };
    let (broken, ()) = tokio::join!(importing, killing);
    assert_eq!(broken.status.code(), Some(1), "{broken:?}");
    assert!(
        broken
            .stderr
            .contains("run the same command again to import the rest"),
        "{broken:?}"
    );
    fs::remove_file(&path).unwrap();
    fs::write(&path, &exported).unwrap();
    service = on(&database).await;
    let [_, added, skipped, refused] = counts(&object(&service, &line).await);
    assert!(skipped > 0, "nothing was imported before");
    assert_eq!((added + skipped, refused), (3_000, 0));
    assert_same(&exported, &run(&service, &["export"]).await);
}
