//! Tests of slow input, write errors and interruption.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::process::{Child, Command, Stdio};

use parlance_testkit::{Parlance, eventually};

use crate::harness::{LONG, ephemeral, run};

/// Running command with standard streams of the test; killed on drop.
struct Running(Child);

impl Running {
    fn start(service: &Parlance, words: &[&str], streams: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parlance"));
        command
            .args(words)
            .env("PARLANCE_SERVER", service.grpc_url());
        streams(&mut command);
        Self(command.spawn().unwrap())
    }

    async fn code(&mut self) -> Option<i32> {
        let status = eventually(LONG, async || self.0.try_wait().unwrap()).await;
        status.code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const GOOD: &str =
    "{\"session_id\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}\n";
const BAD: &str =
    "{\"session_id\":\"b\",\"messages\":[{\"role\":\"user\",\"content\":\"1\",\"tokens\":-1}]}\n";

/// A program that pipes sessions into the command may run for hours.
#[tokio::test]
async fn a_rejected_session_is_reported_while_the_input_is_open() {
    let service = ephemeral().await;
    let folder = tempfile::tempdir().unwrap();
    let errors = folder.path().join("stderr");
    let start = |words: &[&str]| {
        let mut command = Running::start(&service, words, |command| {
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(File::create(&errors).unwrap());
        });
        let mut input = command.0.stdin.take().unwrap();
        input.write_all(GOOD.as_bytes()).unwrap();
        input.write_all(BAD.as_bytes()).unwrap();
        (command, input)
    };
    let reported = || async {
        let wrote = fs::read_to_string(&errors).unwrap();
        wrote.contains("line 2: b: messages[0]").then_some(())
    };

    let (mut command, mut input) = start(&["import", "--on-error", "skip", "-"]);
    eventually(LONG, reported).await;
    assert_eq!(
        command.0.try_wait().unwrap(),
        None,
        "the command waits for more"
    );
    let imported = run(&service, &["export"]).await;
    assert_eq!(
        imported.lines().count(),
        1,
        "valid sessions are imported at once: {imported}"
    );
    input
        .write_all(GOOD.replace("\"a\"", "\"c\"").as_bytes())
        .unwrap();
    drop(input);
    assert_eq!(command.code().await, Some(0));
    assert_eq!(run(&service, &["export"]).await.lines().count(), 2);

    let (mut command, input) = start(&["import", "-"]);
    assert_eq!(
        command.code().await,
        Some(1),
        "the command ends without waiting for input"
    );
    eventually(LONG, reported).await;
    drop(input);
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_a_closed_pipe_is_not() {
    let service = ephemeral().await;
    run(&service, &["seed", "--messages", "20"]).await;
    let folder = tempfile::tempdir().unwrap();
    let errors = folder.path().join("stderr");
    for words in [
        &["list"][..],
        &["export"],
        &["config", "docs"],
        &["--help"],
        &["--version"],
    ] {
        let mut command = Running::start(&service, words, |command| {
            let full = File::options().write(true).open("/dev/full").unwrap();
            command.stdout(full).stderr(File::create(&errors).unwrap());
        });
        assert_eq!(command.code().await, Some(1), "{words:?}");
        let wrote = fs::read_to_string(&errors).unwrap();
        assert!(
            wrote.contains("cannot write to standard output: No space left"),
            "{words:?}: {wrote}"
        );

        let mut command = Running::start(&service, words, |command| {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            command.stdout(writer).stderr(Stdio::null());
        });
        assert_eq!(command.code().await, Some(0), "{words:?}");
    }
}

/// A device or pipe is written to, and a link is followed; none of them is replaced.
#[tokio::test]
async fn an_export_replaces_neither_devices_nor_links() {
    let service = ephemeral().await;
    run(&service, &["seed", "--messages", "20"]).await;
    let folder = tempfile::tempdir().unwrap();
    let errors = folder.path().join("stderr");
    let mut command = Running::start(&service, &["export", "-o", "/dev/full"], |command| {
        command.stderr(File::create(&errors).unwrap());
    });
    let code = command.code().await;
    let wrote = fs::read_to_string(&errors).unwrap();
    assert!(
        wrote.contains("/dev/full") && wrote.contains("No space left"),
        "{wrote}"
    );
    assert_eq!(code, Some(1));
    assert!(
        fs::metadata("/dev/full")
            .unwrap()
            .file_type()
            .is_char_device()
    );

    let expected = run(&service, &["export"]).await;
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let reading = tokio::task::spawn_blocking({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    run(&service, &["export", "-o", pipe.to_str().unwrap()]).await;
    assert_eq!(reading.await.unwrap(), expected);

    let (file, link) = (folder.path().join("file"), folder.path().join("link"));
    fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    run(&service, &["export", "-o", link.to_str().unwrap()]).await;
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), expected);
}

#[tokio::test]
async fn an_interrupted_export_leaves_no_file() {
    let service = ephemeral().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.jsonl");
    let files = || -> Vec<_> {
        let entries = fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    for signal in ["-INT", "-TERM"] {
        // The service is suspended, so the export cannot finish.
        service.stop();
        let words = ["export", "--output", path.to_str().unwrap()];
        let mut command = Running::start(&service, &words, |command| {
            command.stderr(Stdio::null());
        });
        let partial = eventually(LONG, async || files().pop()).await;
        assert_ne!(
            partial, path,
            "the file has a temporary name until it is complete"
        );
        let mode = fs::metadata(&partial).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "only the owner may read it");
        let pid = command.0.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        assert_eq!(command.code().await, Some(130));
        assert_eq!(files(), Vec::<std::path::PathBuf>::new());
        service.cont();
    }
    run(&service, &["export", "--output", path.to_str().unwrap()]).await;
    assert_eq!(files(), [path]);
}
