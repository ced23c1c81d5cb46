//! Tests of `watch`.

use std::fs::{self, File};
use std::process::{Child, Command, ExitStatus, Stdio};

use parlance_testkit::{SqliteFile, eventually, free_port};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{LONG, ephemeral, program, run, send, text};

/// Running `watch` command; killed on drop.
struct Watching {
    child: Child,
    folder: TempDir,
}

impl Watching {
    /// Starts the command and waits until it watches.
    async fn begin(server: &str, words: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(folder.path().join(name)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_parlance"))
            .args(["watch", "--server", server])
            .args(words)
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        let watching = Self { child, folder };
        watching.until_stderr_contains("watching").await;
        watching
    }

    fn wrote(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    /// Waits until standard error contains this text.
    async fn until_stderr_contains(&self, what: &str) {
        eventually(LONG, async || {
            self.wrote("stderr").contains(what).then_some(())
        })
        .await;
    }

    /// Waits until a line contains all these words, and returns all lines so far.
    async fn until_shown(&self, words: &[&str]) -> Vec<String> {
        eventually(LONG, async || {
            let wrote = self.wrote("stdout");
            let lines: Vec<_> = wrote.lines().map(str::to_owned).collect();
            let found = |line: &String| words.iter().all(|word| line.contains(word));
            lines.iter().any(found).then_some(lines)
        })
        .await
    }

    /// Sends SIGINT, like Ctrl-C.
    async fn interrupt(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-INT", &pid])
                .status()
                .unwrap()
                .success()
        );
        eventually(LONG, async || self.child.try_wait().unwrap()).await
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn every_status_of_a_message_is_shown() {
    let service = ephemeral().await;
    let mut watching = Watching::begin(&service.grpc_url(), &[]).await;
    let sent = send(&service, "Hello").await;
    let id = text(&sent, "id");
    let lines = watching.until_shown(&[id, "DELIVERED"]).await;
    let position = |status: &str| {
        let position = lines
            .iter()
            .position(|it| it.contains(id) && it.contains(status));
        position.unwrap_or_else(|| panic!("{status}: {lines:?}"))
    };
    assert!(position("PENDING") < position("DELIVERED"));
    // SENT is missing if the delivery report was faster than the outcome of the hand-over.
    let is_sent = |line: &String| line.contains(id) && line.contains("SENT");
    if let Some(sent) = lines.iter().position(is_sent) {
        assert!(position("PENDING") < sent && sent < position("DELIVERED"));
    }
    assert!(lines[0].contains("conversation created"), "{lines:?}");
    assert_eq!(watching.interrupt().await.code(), Some(0));
    assert!(
        watching
            .wrote("stderr")
            .contains("to continue from here: --since ")
    );
}

#[tokio::test]
async fn a_watch_from_a_cursor_shows_stored_events_of_its_filter_only() {
    let service = ephemeral().await;
    let sent = send(&service, "Hello").await;
    run(&service, &["send", "--chat", "c", "--user", "ana", "Hi"]).await;
    let conversation = text(&sent, "conversationId");
    let of_one = ["--since", "0", "--json", "--conversation", conversation];
    let watching = Watching::begin(&service.grpc_url(), &of_one).await;
    let lines = watching.until_shown(&["MESSAGE_STATUS_DELIVERED"]).await;
    for line in lines {
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(text(&event, "conversationId"), conversation);
        assert!(!text(&event, "cursor").is_empty());
    }
    let of_user = ["--since", "0", "--user", "ana"];
    let watching = Watching::begin(&service.grpc_url(), &of_user).await;
    let lines = watching.until_shown(&["message created", "Hi"]).await;
    assert!(
        lines.iter().all(|line| !line.contains(conversation)),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_lost_connection_comes_back_without_a_gap_or_a_repeat() {
    let data = SqliteFile::new();
    let address = format!("127.0.0.1:{}", free_port());
    let builder = program()
        .database_url(data.url())
        .env("GRPC_LISTEN", &address);
    let service = builder.clone().start().await;
    let mut watching = Watching::begin(&service.grpc_url(), &[]).await;
    let first = send(&service, "before").await;
    watching
        .until_shown(&[text(&first, "id"), "DELIVERED"])
        .await;

    service.kill9();
    watching
        .until_stderr_contains("the connection is lost")
        .await;
    let service = builder.start().await;
    let second = send(&service, "after").await;
    let lines = watching
        .until_shown(&[text(&second, "id"), "DELIVERED"])
        .await;
    watching
        .until_stderr_contains("reconnected, continuing after cursor ")
        .await;
    for message in [&first, &second] {
        let of_it = |line: &&String| line.contains(text(message, "id"));
        let delivered = |line: &&String| line.contains("DELIVERED");
        assert_eq!(
            lines.iter().filter(of_it).filter(delivered).count(),
            1,
            "{lines:?}"
        );
        assert!(
            lines
                .iter()
                .filter(of_it)
                .any(|line| line.contains("PENDING")),
            "{lines:?}"
        );
    }
    assert_eq!(watching.interrupt().await.code(), Some(0));
}

#[tokio::test]
async fn a_watch_ends_when_its_output_is_closed() {
    let service = ephemeral().await;
    let mut child = Command::new(env!("CARGO_BIN_EXE_parlance"))
        .args(["watch", "--since", "0", "--server", &service.grpc_url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    send(&service, "Hello").await;
    let status = eventually(LONG, async || child.try_wait().unwrap()).await;
    assert!(status.success());
}
