//! The files of `deploy`, as far as they can be checked without running them.

use std::path::Path;
use std::process::Command;

use super::yaml::flat;
use super::{dashboard, read};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

#[test]
fn files_mounted_by_compose_exist() {
    let compose = flat(&read("compose.yaml"));
    let mounts = compose
        .iter()
        .filter(|(path, value)| path.contains(".volumes.") && value.starts_with("./"));
    let mut mounted = 0;
    for (path, value) in mounts {
        let from = value.split(':').next().unwrap_or_default();
        assert!(folder().join(from).exists(), "{path}: {value}");
        assert!(value.ends_with(":ro"), "{path}: {value}");
        mounted += 1;
    }
    assert_eq!(mounted, 4);
    let built = &compose["services.parlance.build.dockerfile"];
    assert!(folder().join("..").join(built).exists(), "{built}");
}

#[test]
fn redis_is_a_cache_and_ports_are_local() {
    let compose = flat(&read("compose.yaml"));
    let mut command: Vec<(usize, &str)> = compose
        .iter()
        .filter_map(|(path, value)| {
            let position = path.strip_prefix("services.redis.command.")?;
            Some((position.parse().ok()?, value.as_str()))
        })
        .collect();
    command.sort_unstable();
    let command: Vec<&str> = command.into_iter().map(|(_, word)| word).collect();
    for option in [
        ["--save", ""],
        ["--appendonly", "no"],
        ["--maxmemory-policy", "allkeys-lru"],
    ] {
        assert!(
            command.windows(2).any(|words| words == option),
            "{command:?}"
        );
    }
    assert!(
        command.contains(&"--maxmemory"),
        "without it nothing is evicted"
    );
    let ports = compose.iter().filter(|(path, _)| path.contains(".ports."));
    for (path, port) in ports {
        assert!(
            port.starts_with("127.0.0.1:"),
            "{path}: {port}, and AUTH is off"
        );
    }
}

#[test]
fn grafana_is_provisioned_with_dashboard_and_data_source() {
    let source = flat(&read("grafana/provisioning/datasources/prometheus.yaml"));
    let provider = flat(&read("grafana/provisioning/dashboards/parlance.yaml"));
    let compose = flat(&read("compose.yaml"));
    let mounted = |at: &str| {
        let mut all = compose.iter();
        all.any(|(path, value)| {
            path.starts_with("services.grafana.volumes.") && value.contains(&format!(":{at}:"))
        })
    };
    assert!(mounted(&provider["providers.0.options.path"]));
    assert!(mounted("/etc/grafana/provisioning"));
    let home = &compose["services.grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"];
    let name = home
        .strip_prefix(&provider["providers.0.options.path"])
        .expect("below the folder");
    assert!(
        folder()
            .join("grafana/dashboards")
            .join(name.trim_start_matches('/'))
            .exists()
    );
    let wanted = &dashboard()["templating"]["list"][0]["current"]["value"];
    assert_eq!(wanted.as_str(), Some(source["datasources.0.uid"].as_str()));
    // Rates are computed over four times this interval.
    let scraped = flat(&read("prometheus.yml"));
    assert_eq!(
        source["datasources.0.jsonData.timeInterval"],
        scraped["global.scrape_interval"]
    );
}

#[test]
fn prometheus_accepts_its_configuration_and_rules() {
    let checked = Command::new("promtool")
        .args(["check", "config", "prometheus.yml"])
        .current_dir(folder())
        .output()
        .expect("promtool, which comes with Prometheus");
    let output = String::from_utf8_lossy(&checked.stdout).into_owned()
        + &String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{output}");
    assert!(output.contains("rules found"), "{output}");
}

#[test]
fn the_image_is_small_and_its_user_unprivileged() {
    let dockerfile = read("Dockerfile");
    let instructions: Vec<&str> = dockerfile.lines().filter(|l| !l.starts_with('#')).collect();
    let of = |word: &str| -> Vec<&str> {
        let all = instructions.iter();
        all.filter_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
            .collect()
    };
    assert_eq!(of("FROM").len(), 2, "a build stage and a runtime stage");
    let toolchain =
        std::fs::read_to_string(folder().join("../rust-toolchain.toml")).expect("a toolchain");
    let version = toolchain.split('"').nth(1).expect("a version");
    assert!(
        of("FROM")[0].starts_with(&format!("rust:{version}-")),
        "{:?}",
        of("FROM")
    );
    let [user] = of("USER")[..] else {
        panic!("one user")
    };
    assert!(!user.starts_with('0') && !user.contains("root"), "{user}");
    // In the exec form the process itself receives SIGTERM.
    assert!(of("ENTRYPOINT")[0].starts_with('['));
    assert!(dockerfile.contains("cargo build --profile dist --locked"));
    for line in dockerfile
        .lines()
        .filter(|line| line.contains("apt-get install"))
    {
        assert!(line.contains("--no-install-recommends"), "{line}");
    }
}
