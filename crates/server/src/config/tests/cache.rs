//! Settings of the cache and its Redis.

use parlance_cache::Backend;
use parlance_cache::redis::Node;

use super::*;

const POSTGRES: (&str, &str) = ("DATABASE_URL", "postgres://u:p@db/d");

fn load(pairs: &[(&str, &str)]) -> Settings {
    Settings::load(env(pairs), None).unwrap()
}

fn node(pairs: &[(&str, &str)]) -> Node {
    load(pairs).redis().unwrap().node
}

fn single(pairs: &[(&str, &str)]) -> String {
    let Node::Single(url) = node(pairs) else {
        panic!("one Redis")
    };
    url
}

#[test]
fn the_default_backend_follows_from_the_other_settings() {
    let redis = ("REDIS_URL", "redis://h");
    let cluster = ("REDIS_CLUSTER_URLS", "redis://a:1,redis://b:2");
    for (pairs, backend) in [
        (&[][..], Backend::Memory),
        (&[POSTGRES], Backend::Off),
        (&[redis], Backend::Hybrid),
        (&[POSTGRES, redis], Backend::Hybrid),
        (&[("REDIS_HOST", "h")], Backend::Hybrid),
        (&[POSTGRES, cluster], Backend::Redis),
        (&[redis, ("CACHE_BACKEND", "redis")], Backend::Redis),
        (&[POSTGRES, ("CACHE_BACKEND", "memory")], Backend::Memory),
        (&[("CACHE_BACKEND", "off")], Backend::Off),
    ] {
        let settings = load(pairs);
        assert_eq!(settings.backend(), backend, "{pairs:?}");
        let shown = settings.effective().iter().map(ToString::to_string);
        let expected = format!("CACHE_BACKEND={} ", backend.as_str());
        assert!(shown.into_iter().any(|line| line.starts_with(&expected)));
    }
}

#[test]
fn unset_settings_take_their_defaults() {
    let settings = load(&[]);
    let seconds = |ttl: Duration| ttl.as_secs();
    let ttls = settings.ttls();
    assert_eq!(
        (
            seconds(ttls.message),
            seconds(ttls.conversation),
            seconds(ttls.messages)
        ),
        (300, 300, 3600)
    );
    assert_eq!(settings.cache_max_memory_size, 100_000);
    assert_eq!(settings.cache_max_memory_bytes, 256 * 1024 * 1024);
    assert_eq!(settings.cache_max_value, 64 * 1024);
    assert_eq!(settings.cache_max_staleness, Duration::ZERO);
    assert_eq!(settings.cache_patience, Duration::from_millis(10));
    assert_eq!(settings.cache_clock_margin, Duration::from_millis(50));
    assert_eq!(settings.cache_warm_on_start, 0);
    assert_eq!(settings.cache_warm_searches, Vec::<String>::new());
    let audit = |settings: Settings| settings.cache_audit_interval;
    assert_eq!(audit(settings), Some(Duration::from_secs(30)));
    assert_eq!(audit(load(&[("CACHE_AUDIT_INTERVAL", "0")])), None);

    let ttls = load(&[("CACHE_DEFAULT_TTL", "7"), ("CACHE_TTL_MESSAGE", "9")]).ttls();
    assert_eq!(
        (
            seconds(ttls.message),
            seconds(ttls.conversation),
            seconds(ttls.messages)
        ),
        (9, 7, 3600)
    );
}

#[test]
fn searches_to_warm_are_a_bounded_list() {
    let searches = |text: &str| load(&[("CACHE_WARM_SEARCHES", text)]).cache_warm_searches;
    assert_eq!(searches("invoice"), ["invoice"]);
    assert_eq!(
        searches("invoice, past due ,refund"),
        ["invoice", "past due", "refund"]
    );
    let longest = "x".repeat(256);
    assert_eq!(searches(&longest), [longest.as_str()]);
    assert_eq!(searches(&["x"; 100].join(",")).len(), 100);
    assert_eq!(searches("invoice,2024"), ["invoice", "2024"]);
    assert_eq!(searches("order 66"), ["order 66"]);

    let no_count = "a number of searches is no longer supported; list the words to search for, or leave it empty to search for none";
    let expected = "expected a comma-separated list of up to 100 search words or phrases, each of up to 256 bytes";
    for (text, why) in [
        ("invoice,,refund".to_owned(), "entry 2 is empty"),
        ("invoice,".to_owned(), "entry 2 is empty"),
        (format!("invoice,{longest}x"), "entry 2 has 257 bytes"),
        (["x"; 101].join(","), "it has 101 entries"),
        ("\0".to_owned(), "entry 1 contains a NUL character"),
        ("0".to_owned(), no_count),
        ("100".to_owned(), no_count),
    ] {
        let problem = format!("CACHE_WARM_SEARCHES is {text:?} (environment): {why}; {expected}");
        assert_eq!(
            problems(&[("CACHE_WARM_SEARCHES", text.as_str())], ""),
            [problem]
        );
    }
}

#[test]
fn redis_may_be_configured_in_parts() {
    assert_eq!(single(&[("REDIS_HOST", "h")]), "redis://h:6379/0");
    let all = [
        ("REDIS_HOST", "::1"),
        ("REDIS_PORT", "7000"),
        ("REDIS_DB", "3"),
        ("REDIS_USERNAME", "chat"),
        ("REDIS_PASSWORD", "p@ss/w\u{f6}rd"),
        ("REDIS_CA", "/ca.pem"),
    ];
    assert_eq!(
        single(&all),
        "rediss://chat:p%40ss%2Fw%C3%B6rd@[::1]:7000/3"
    );
    let password = ("REDIS_PASSWORD", "x");
    assert_eq!(
        single(&[("REDIS_URL", "rediss://h:1/2"), password]),
        "rediss://:x@h:1/2"
    );
    let Node::Cluster(urls) = node(&[("REDIS_CLUSTER_URLS", "redis://a, redis://b"), password])
    else {
        panic!("a cluster")
    };
    assert_eq!(urls, ["redis://:x@a", "redis://:x@b"]);
}

#[test]
fn contradictory_redis_settings_are_rejected() {
    let url = ("REDIS_URL", "redis://u:s3cret@h");
    for (pairs, expected) in [
        (
            &[url, ("REDIS_CLUSTER_URLS", "redis://h")][..],
            "REDIS_URL and REDIS_CLUSTER_URLS are set: set only one of them",
        ),
        (
            &[url, ("REDIS_HOST", "h")],
            "REDIS_URL and REDIS_HOST are set: set only one of them",
        ),
        (
            &[url, ("REDIS_DB", "1")],
            "REDIS_DB applies to REDIS_HOST only: put it into REDIS_URL instead",
        ),
        (
            &[url, ("REDIS_PASSWORD", "other")],
            "REDIS_URL contains credentials, and REDIS_USERNAME or REDIS_PASSWORD is set, too: use only one of the two",
        ),
        (
            &[("REDIS_PORT", "1")],
            "REDIS_PORT is set, but no Redis is configured: set REDIS_HOST or REDIS_URL",
        ),
        (
            &[("CACHE_BACKEND", "redis")],
            "CACHE_BACKEND is redis, but no Redis is configured: set REDIS_URL, REDIS_HOST or REDIS_CLUSTER_URLS",
        ),
        (
            &[("REDIS_URL", "localhost:6379")],
            "REDIS_URL is (not shown) (environment): expected redis://user:password@host:port/0, or rediss://... over TLS",
        ),
        (
            &[("REDIS_URL", "redis://x@h:abc/0")],
            "REDIS_URL is (not shown) (environment): expected redis://user:password@host:port/0, or rediss://... over TLS",
        ),
        (
            &[("REDIS_URL", "redis://h/70000")],
            "REDIS_URL is (not shown) (environment): expected redis://user:password@host:port/0, or rediss://... over TLS",
        ),
        (
            &[("REDIS_URL", "redis://h/?db=5")],
            "REDIS_URL is (not shown) (environment): expected redis://user:password@host:port/0, or rediss://... over TLS",
        ),
    ] {
        assert_eq!(problems(pairs, ""), [expected], "{pairs:?}");
    }
}

#[test]
fn an_unused_redis_is_a_warning() {
    let pairs = [("REDIS_URL", "redis://h"), ("CACHE_BACKEND", "off")];
    let settings = Settings::load(env(&pairs), None).unwrap();
    assert_eq!(
        settings.warnings(),
        ["Redis is configured, but CACHE_BACKEND is off, which does not use it"]
    );
    let pairs = [("REDIS_URL", "redis://h")];
    assert!(
        Settings::load(env(&pairs), None)
            .unwrap()
            .warnings()
            .is_empty()
    );
}

#[test]
fn redis_secrets_are_never_shown() {
    for pairs in [
        &[("REDIS_URL", "redis://u:s3cret@h:1/2")][..],
        &[("REDIS_CLUSTER_URLS", "redis://:s3cret@a,redis://b")],
        &[("REDIS_HOST", "h"), ("REDIS_PASSWORD", "s3cret")],
    ] {
        let settings = Settings::load(env(pairs), None).unwrap();
        let shown: Vec<_> = settings
            .effective()
            .iter()
            .map(ToString::to_string)
            .collect();
        let all = format!("{shown:?} {settings:?}");
        assert!(!all.contains("s3cret"), "{all}");
    }
    let shown = |pairs: &[(&str, &str)], name| {
        let settings = Settings::load(env(pairs), None).unwrap();
        let entry = settings.effective().iter().find(|entry| entry.name == name);
        entry.unwrap().value.clone()
    };
    let url = "redis://u:s3cret@h:1/2";
    assert_eq!(
        shown(&[("REDIS_URL", url)], "REDIS_URL"),
        "redis://***@h:1/2"
    );
    let urls = "redis://:s3cret@a,redis://b";
    assert_eq!(
        shown(&[("REDIS_CLUSTER_URLS", urls)], "REDIS_CLUSTER_URLS"),
        "redis://***@a,redis://b"
    );
}

#[test]
fn variables_of_a_kubernetes_service_are_ignored() {
    let injected = [
        ("REDIS_SERVICE_HOST", "10.0.0.1"),
        ("REDIS_SERVICE_PORT", "6379"),
        ("REDIS_SERVICE_PORT_CLIENT", "6379"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("REDIS_PORT_6379_TCP", "tcp://10.0.0.1:6379"),
        ("REDIS_PORT_6379_TCP_PROTO", "tcp"),
        ("REDIS_PORT_6379_TCP_PORT", "6379"),
        ("REDIS_PORT_6379_TCP_ADDR", "10.0.0.1"),
        ("CACHE_PORT", "udp://10.0.0.2:1"),
        ("DATABASE_SERVICE_HOST", "10.0.0.3"),
    ];
    let settings = Settings::load(env(&injected), None).unwrap();
    assert_eq!(settings.warnings(), Vec::<String>::new());
    assert!(settings.redis().is_none());
    let host = [&injected[..], &[("REDIS_HOST", "redis")]].concat();
    assert_eq!(single(&host), "redis://redis:6379/0");
}

#[test]
fn a_redis_url_with_an_unescaped_password_is_rejected() {
    for url in ["redis://u:12/w@h", "redis://u:12?w@h", "redis://u:12#w@h"] {
        let found = problems(&[("REDIS_URL", url)], "").join("\n");
        assert!(found.contains("write `/` as %2F"), "{found}");
    }
    let at = [("REDIS_URL", "redis://u:p@ss@h:1/2")];
    let settings = Settings::load(env(&at), None).unwrap();
    let shown: Vec<_> = settings.effective().iter().collect();
    assert!(
        shown.iter().any(|entry| entry.value == "redis://***@h:1/2"),
        "{shown:?}"
    );
}

proptest::proptest! {
    /// No character of a password is shown, whether the configuration is accepted or rejected.
    #[test]
    fn no_password_is_shown(password in "[QXZ1@/?#:%&=]{1,12}") {
        for (name, url) in [
            ("REDIS_URL", format!("redis://chat:{password}@h/0")),
            ("REDIS_URL", format!("redis://:{password}@h")),
            ("REDIS_URL", format!("rediss://h/0?password={password}")),
            ("REDIS_CLUSTER_URLS", format!("redis://a,redis://chat:{password}@b,redis://c")),
            ("REDIS_PASSWORD", password.clone()),
            ("DATABASE_URL", format!("postgres://chat:{password}@db/chat")),
        ] {
            let pairs = [(name, url.as_str()), ("REDIS_HOST", "h")];
            let pairs = if name == "REDIS_PASSWORD" { &pairs[..] } else { &pairs[..1] };
            let shown = match Settings::load(env(pairs), None) {
                Ok(settings) => {
                    let shown = settings.effective().iter().find(|entry| entry.name == name);
                    format!("{} {:?} {:?}", shown.unwrap().value, settings.database_url, settings.redis())
                }
                Err(InvalidSettings(problems)) => problems.join("\n"),
            };
            proptest::prop_assert!(!shown.contains(['Q', 'X', 'Z']), "{url}: {shown}");
        }
    }
}
