//! Tests of `simulate` as a process.

use std::fs;
use std::process::{Child, Command, Stdio};

use parlance_testkit::eventually;
use serde_json::Value;

use crate::harness::{LONG, OURS, THEIRS, program};

struct Simulator {
    child: Child,
    address: String,
    _folder: tempfile::TempDir,
}

impl Simulator {
    async fn start(words: &[&str], env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stdout = folder.path().join("stdout");
        let child = Command::new(env!("CARGO_BIN_EXE_parlance"))
            .args(["simulate", "--listen", "127.0.0.1:0", "--ports-json"])
            .args(words)
            .current_dir(folder.path())
            .envs(env.iter().copied())
            .stdout(fs::File::create(&stdout).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let ports: Value = eventually(LONG, async || {
            serde_json::from_str(&fs::read_to_string(&stdout).unwrap()).ok()
        })
        .await;
        Self {
            child,
            address: ports["http"].as_str().unwrap().to_owned(),
            _folder: folder,
        }
    }

    /// Runs curl, and returns the JSON of the response.
    fn curl(&self, path: &str, words: &[&str]) -> Value {
        let output = Command::new("curl")
            .arg("-sS")
            .args(words)
            .arg(format!("http://{}{path}", self.address))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_application_of_the_provider_can_send_until_a_signal() {
    let env = [("TWILIO_ACCOUNT_SID", "AC1"), ("TWILIO_AUTH_TOKEN", "t")];
    let mut simulator = Simulator::start(&[], &env).await;
    let path = "/2010-04-01/Accounts/AC1/Messages.json";
    let (from, to) = (format!("From={OURS}"), format!("To={THEIRS}"));
    let form = [
        "-u",
        "AC1:t",
        "-d",
        "Body=Hello",
        "--data-urlencode",
        &from,
        "--data-urlencode",
        &to,
    ];
    let created = simulator.curl(path, &form);
    assert_eq!(created["status"], "queued", "{created}");
    let wrong = simulator.curl(path, &["-u", "AC1:x"]);
    assert_eq!(wrong["code"], 20003);
    let sent = simulator.curl(
        "/parlance.v1.SimulatorService/ListSent",
        &["--json", r#"{"pageSize": 1}"#],
    );
    assert_eq!(sent["messages"][0]["providerMessageId"], created["sid"]);

    let pid = simulator.child.id().to_string();
    let signaled = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(signaled.unwrap().success());
    let status = eventually(LONG, async || simulator.child.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn the_seed_determines_the_ids() {
    let mut ids = Vec::new();
    for seed in ["7", "7", "8"] {
        let simulator = Simulator::start(&["--seed", seed], &[]).await;
        let path = "/2010-04-01/Accounts/ACsimulator/Messages.json";
        let form = [
            "-u",
            "ACsimulator:simulator",
            "-d",
            "Body=Hello&From=%2B15550001111&To=%2B15552223333",
        ];
        ids.push(simulator.curl(path, &form)["sid"].clone());
    }
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0], ids[2]);
}

#[tokio::test]
async fn an_invalid_script_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script.json");
    fs::write(
        &script,
        r#"{"faults": [{"kind": "FAULT_KIND_HANG", "count": -1}]}"#,
    )
    .unwrap();
    let words = ["simulate", "--listen", "127.0.0.1:0", "--script"];
    let words = words.map(str::to_owned).into_iter();
    let words = words.chain([script.display().to_string()]);
    let finished = program().run(words, LONG).await;
    assert_eq!(finished.status.code(), Some(2), "{finished:?}");
    let expected = "parlance: --script: faults[0].count: must not be negative";
    assert!(finished.stderr.contains(expected), "{finished:?}");
}
