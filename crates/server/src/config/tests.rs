//! Settings from the environment and the file.

use std::time::Duration;

use parlance_transport::layers::WebOrigins;

use super::*;

mod cache;
mod providers;

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    pairs.into_iter()
}

fn file(text: &str) -> File {
    File {
        path: "parlance.toml".into(),
        text: text.to_owned(),
        read_secret: |path| match path.to_str() {
            Some("secrets/token") => Ok("token-of-the-file\n".to_owned()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        },
    }
}

fn problems(pairs: &[(&str, &str)], text: &str) -> Vec<String> {
    Settings::load(env(pairs), Some(file(text))).unwrap_err().0
}

#[test]
fn every_setting_has_a_default() {
    let settings = Settings::load(env(&[]), None).unwrap();
    assert_eq!(settings.grpc_listen.to_string(), "127.0.0.1:50051");
    assert_eq!(settings.http_listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        settings.database_url.to_string(),
        "sqlite://data/parlance.db"
    );
    assert_eq!(settings.limits(), Limits::default());
    assert_eq!(settings.max_request_bytes, 4 * 1024 * 1024);
    assert_eq!(settings.worker_threads, None);
    assert_eq!(settings.otlp_endpoint, None);
    assert!(settings.warnings().is_empty());
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_default() {
    let text = "drain_timeout = 7\nfeed_poll_ms = 50\nreflection = false";
    let settings = Settings::load(env(&[("FEED_POLL_MS", "60")]), Some(file(text))).unwrap();
    assert_eq!(settings.drain_timeout, Duration::from_secs(7));
    assert_eq!(settings.feed_poll, Duration::from_millis(60));
    assert!(!settings.reflection);
    let shown = |name: &str| {
        let entry = settings.effective().iter().find(|entry| entry.name == name);
        entry.unwrap().to_string()
    };
    assert_eq!(shown("FEED_POLL_MS"), "FEED_POLL_MS=60 (environment)");
    assert_eq!(shown("DRAIN_TIMEOUT"), "DRAIN_TIMEOUT=7 (file)");
    assert_eq!(shown("MIGRATE"), "MIGRATE=auto (default)");
}

#[test]
fn a_setting_that_follows_from_others_is_shown_with_its_value() {
    let shown = |pairs: &[(&str, &str)], name: &str| {
        let settings = Settings::load(env(pairs), None).unwrap();
        let entry = settings.effective().iter().find(|entry| entry.name == name);
        entry.unwrap().to_string()
    };
    let ttl = [("CACHE_DEFAULT_TTL", "7"), ("CACHE_TTL_MESSAGE", "8")];
    let postgres = [("DATABASE_URL", "postgres://db/chat")];
    for (pairs, expected) in [
        (&[][..], "AUTH=off (default)"),
        (&[], "CACHE_BACKEND=memory (default)"),
        (&postgres, "CACHE_BACKEND=off (default)"),
        (&[], "CACHE_TTL_MESSAGE=300 (default)"),
        (&ttl, "CACHE_TTL_MESSAGE=8 (environment)"),
        (&ttl, "CACHE_TTL_CONVERSATION=7 (default)"),
        (&[], "HOLD_AFTER_RESTORE=off (default)"),
        (&postgres, "HOLD_AFTER_RESTORE=on (default)"),
    ] {
        let name = expected.split('=').next().unwrap();
        assert_eq!(shown(pairs, name), expected);
    }
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let settings = Settings::load(
        env(&[("DRAIN_TIMEOUT", "")]),
        Some(file("drain_timeout = 7")),
    )
    .unwrap();
    assert_eq!(settings.drain_timeout, Duration::from_secs(7));
}

#[test]
fn an_ephemeral_service_overrides_database_and_ports() {
    let load = |pairs, text| {
        Settings::load_ephemeral(env(pairs), Some(file(text)), Path::new("/tmp/parlance-7"))
    };
    let given = [
        ("GRPC_LISTEN", "0.0.0.0:50051"),
        ("HTTP_LISTEN", "127.0.0.1:8080"),
        ("WEBHOOK_LISTEN", "127.0.0.1:8081"),
        ("MIGRATE", "off"),
        ("FEED_POLL_MS", "60"),
    ];
    let settings = load(&given, "drain_timeout = 7").unwrap();
    let url = settings.database_url.to_string();
    assert_eq!(url, "sqlite:///tmp/parlance-7/parlance.db");
    for address in [settings.grpc_listen, settings.http_listen] {
        assert_eq!(address.to_string(), "127.0.0.1:0");
    }
    assert_eq!(settings.webhook_listen, None);
    assert_eq!(settings.migrate, Migrate::Auto);
    assert_eq!(settings.feed_poll, Duration::from_millis(60));
    assert_eq!(settings.drain_timeout, Duration::from_secs(7));
    assert!(settings.warnings().is_empty());

    let url = ("DATABASE_URL", "sqlite:///other.db");
    for wrong in [
        load(&[url], ""),
        load(&[], "database_url = \"sqlite:///o.db\""),
    ] {
        let InvalidSettings(problems) = wrong.unwrap_err();
        assert!(
            problems[0].contains("--ephemeral creates a temporary database"),
            "{problems:?}"
        );
        assert_eq!(problems.len(), 1);
    }
}

#[test]
fn an_unknown_key_suggests_the_most_similar_setting() {
    assert_eq!(
        problems(&[], "grpc_listne = \"x\""),
        ["parlance.toml: grpc_listne is not a setting; did you mean grpc_listen?"]
    );
    assert_eq!(
        problems(&[], "zzz = 1"),
        ["parlance.toml: zzz is not a setting"]
    );
    assert_eq!(
        problems(&[], "Migrate = \"auto\""),
        ["parlance.toml: Migrate is not a setting; did you mean migrate?"]
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let found = problems(
        &[
            ("GRPC_LISTEN", "localhost"),
            ("MIGRATE", "always"),
            ("DATABASE_POOL_SIZE", "0"),
        ],
        "log_format = \"xml\"\nworker_threads = [1]\ndrain_timeout = -1",
    );
    assert_eq!(
        found,
        [
            "parlance.toml: worker_threads has the type array; expected a whole number from 0 to 1024",
            "DATABASE_POOL_SIZE is \"0\" (environment): out of range; expected a whole number from 1 to 1000",
            "MIGRATE is \"always\" (environment): expected auto, check or off",
            "GRPC_LISTEN is \"localhost\" (environment): expected an address with a port, such as 127.0.0.1:50051",
            "LOG_FORMAT is \"xml\" (file): expected text or json",
            "DRAIN_TIMEOUT is \"-1\" (file): expected a whole number of seconds",
        ]
    );
}

/// The default that replaces an invalid value must not contradict the others.
#[test]
fn settings_are_compared_only_if_each_is_valid() {
    for (invalid, compared) in [
        ("MAX_REQUEST_BYTES", ("MAX_BUFFERED_BYTES", "1")),
        ("AUTH", ("GRPC_LISTEN", "0.0.0.0:50051")),
        ("REDIS_URL", ("CACHE_BACKEND", "redis")),
        ("DELIVERY_LEASE", ("DELIVERY_PROVIDER_TIMEOUT", "15")),
    ] {
        let compared_problems = problems(&[compared], "");
        assert_eq!(compared_problems.len(), 1, "{compared:?}");
        let found = problems(&[(invalid, "="), compared], "");
        assert!(found[0].starts_with(invalid), "{found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

#[test]
fn a_setting_that_depends_on_an_invalid_one_is_read() {
    let found = problems(&[("DATABASE_URL", "x"), ("HOLD_AFTER_RESTORE", "x")], "");
    let names: Vec<_> = found
        .iter()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(names, ["DATABASE_URL", "HOLD_AFTER_RESTORE"]);
}

#[test]
fn a_secret_is_masked_in_effective_settings_and_in_errors() {
    let url = "postgres://chat:hunter2@db/chat";
    let settings = Settings::load(env(&[("DATABASE_URL", url)]), None).unwrap();
    let shown = settings.effective()[0].to_string();
    assert_eq!(
        shown,
        "DATABASE_URL=postgres://chat:***@db/chat (environment)"
    );

    let wrong = problems(&[("DATABASE_URL", "mysql://chat:hunter2@db")], "").join("\n");
    assert!(wrong.contains("DATABASE_URL is (not shown)"), "{wrong}");
    assert!(!wrong.contains("hunter2"), "{wrong}");

    let broken = problems(&[], "database_url = postgres://chat:hunter2@db").join("\n");
    assert!(broken.starts_with("parlance.toml: line 1: "), "{broken}");
    assert!(!broken.contains("hunter2"), "{broken}");
}

#[test]
fn credentials_are_masked_in_every_setting() {
    let traces = (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://chat:hunter2@traces:4317",
    );
    let settings = Settings::load(env(&[traces]), None).unwrap();
    let mut shown = settings.effective().iter().map(ToString::to_string);
    let expected = "OTEL_EXPORTER_OTLP_ENDPOINT=http://***@traces:4317 (environment)";
    assert!(shown.any(|line| line == expected));

    let wrong = problems(&[("REDIS_HOST", "chat:hunter2@redis")], "").join("\n");
    assert!(wrong.contains("REDIS_HOST is \"***@redis\""), "{wrong}");
    let wrong = problems(&[("REDIS_HOST", "chat@redis")], "").join("\n");
    assert!(wrong.contains("REDIS_HOST is \"chat@redis\""), "{wrong}");
}

#[test]
fn a_network_address_requires_an_explicit_auth_off() {
    let open = [("GRPC_LISTEN", "0.0.0.0:50051")];
    let refused = problems(&open, "");
    assert!(refused[0].contains("AUTH=off explicitly"), "{refused:?}");
    assert_eq!(problems(&[("AUTH", "on")], "").len(), 1);

    let settings = Settings::load(env(&open), Some(file("auth = \"off\""))).unwrap();
    assert_eq!(settings.warnings().len(), 1);
}

#[test]
fn unused_settings_are_warnings() {
    let settings = Settings::load(
        env(&[("SENDGRID_API_KEY", "x"), ("HOME", "/root")]),
        Some(file("smtp_url = \"smtp://h\"")),
    );
    assert_eq!(
        settings.unwrap().warnings(),
        [
            "SENDGRID_API_KEY is set, but this version does not use it",
            "SMTP_URL is set, but this version does not use it"
        ]
    );
}

#[test]
fn a_misspelt_variable_is_a_warning_with_the_most_similar_setting() {
    for (name, expected) in [
        ("GRPC_LISTNE", Some("GRPC_LISTEN")),
        ("CACHE_BACKED", Some("CACHE_BACKEND")),
        ("CACHE_TTL_MESAGE", Some("CACHE_TTL_MESSAGE")),
        ("DATABASE_POOLSIZE", Some("DATABASE_POOL_SIZE")),
        ("REDIS_HOSTNAME", Some("REDIS_HOST")),
        ("DATABASE_PASSWORD", Some("DATABASE_URL")),
        ("DELIVERY_WORKER_COUNT", Some("DELIVERY_WORKERS")),
        ("DRAIN_TIME_OUT", Some("DRAIN_TIMEOUT")),
        ("migrate", Some("MIGRATE")),
        ("PATH", None),
        ("HOME", None),
        ("HTTP_PROXY", None),
        ("RUST_BACKTRACE", None),
        ("RUSTFLAGS", None),
        ("LOG_LEVEL", None),
        ("LOGNAME", None),
        ("GRPC_VERBOSITY", None),
        ("OTEL_RESOURCE_ATTRIBUTES", None),
        ("PGHOST", None),
        ("KUBERNETES_SERVICE_HOST", None),
        ("KUBERNETES_PORT_443_TCP_ADDR", None),
        ("PARLANCE_SERVER", None),
    ] {
        let settings = Settings::load(env(&[(name, "x")]), None).unwrap();
        let expected = expected
            .map(|meant| format!("{name} is set, but is not a setting; did you mean {meant}?"));
        assert_eq!(settings.warnings(), Vec::from_iter(expected), "{name}");
    }
}

#[test]
fn a_setting_is_suggested_only_if_it_is_similar() {
    for name in ["CACHE_FOO", "REDIS_SENTINEL", "DATABASE_TIMEOUT"] {
        let settings = Settings::load(env(&[(name, "x")]), None).unwrap();
        let expected = format!("{name} is set, but is not a setting");
        assert_eq!(settings.warnings(), [expected]);
    }
    assert_eq!(
        problems(&[], "cache_foo = 1"),
        ["parlance.toml: cache_foo is not a setting"]
    );
}

#[test]
fn origins_are_loopback_all_or_a_list() {
    let load = |text: &str| Settings::load(env(&[("GRPC_WEB_ORIGINS", text)]), None);
    let list = load("https://A.example, https://b.example:8443/").unwrap();
    let expected = ["https://a.example", "https://b.example:8443"].map(str::to_owned);
    assert_eq!(list.grpc_web_origins, WebOrigins::List(expected.into()));
    assert_eq!(load("*").unwrap().grpc_web_origins, WebOrigins::Any);
    assert!(load("a.example").is_err());
}

#[test]
fn names_are_unique_and_every_setting_is_read() {
    let mut names: Vec<_> = table::TABLE.iter().map(|setting| setting.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), table::TABLE.len());
    // That all defaults parse is the test `every_setting_has_a_default`; here, that every row is read: an invalid value
    // must be rejected.
    for setting in table::TABLE {
        let free =
            ["DATABASE_CA", "OTEL_SERVICE_NAME", "CACHE_WARM_SEARCHES"].contains(&setting.name);
        let outcome = Settings::load(env(&[(setting.name, "=,=")]), None);
        assert_eq!(outcome.is_ok(), free, "{}", setting.name);
    }
}

#[test]
fn the_documentation_holds_the_table() {
    let docs = include_str!("../../../../docs/configuration.md");
    assert!(
        docs.contains(&table::markdown()),
        "update docs/configuration.md with the output of `parlance config docs`"
    );
}
