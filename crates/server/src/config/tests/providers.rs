//! Settings of providers: credentials, URLs, ports.

use parlance_providers::Secret;

use super::*;

const SID: (&str, &str) = ("TWILIO_ACCOUNT_SID", "AC1");
const TOKEN: (&str, &str) = ("TWILIO_AUTH_TOKEN", "hunter2");
const MARKETING: &str = "[credentials.marketing]\nprovider = \"twilio\"\naccount_sid = \"AC2\"\n";

fn load(pairs: &[(&str, &str)], text: &str) -> Settings {
    Settings::load(env(pairs), Some(file(text))).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::from(text.to_owned())
}

fn shown(settings: &Settings) -> Vec<String> {
    settings
        .effective()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_variables_are_the_credentials_named_twilio() {
    let settings = load(
        &[
            SID,
            TOKEN,
            ("TWILIO_SECONDARY_AUTH_TOKEN", "second"),
            ("TWILIO_API_KEY", "SK1"),
            ("TWILIO_API_SECRET", "secret"),
            ("TWILIO_SHARED_KEYS", "main=a=b, other=c"),
            ("TWILIO_BASE_URL", "http://127.0.0.1:8082/"),
        ],
        "",
    );
    let expected = TwilioCredentials {
        name: "twilio".to_owned(),
        account_sid: "AC1".to_owned(),
        login: ("SK1".to_owned(), secret("secret")),
        auth_token: Some(secret("hunter2")),
        secondary_auth_token: Some(secret("second")),
        shared_keys: vec![
            ("main".to_owned(), secret("a=b")),
            ("other".to_owned(), secret("c")),
        ],
        base_url: Some("http://127.0.0.1:8082".to_owned()),
    };
    assert_eq!(settings.twilio, [expected]);
    assert_eq!(settings.warnings(), [""; 0]);
    assert!(load(&[], "").twilio.is_empty());
    let without_key = load(&[SID, TOKEN], "");
    let expected = ("AC1".to_owned(), secret("hunter2"));
    assert_eq!(without_key.twilio[0].login, expected);
}

#[test]
fn a_table_of_the_file_is_further_credentials_and_may_name_files_with_secrets() {
    let table = format!("{MARKETING}auth_token_file = \"secrets/token\"\n");
    let settings = load(&[SID, TOKEN], &table);
    let names: Vec<_> = settings.twilio.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["twilio", "marketing"]);
    let expected = Some(secret("token-of-the-file"));
    assert_eq!(settings.twilio[1].auth_token, expected);
    let with_key =
        format!("{MARKETING}api_key = \"SK2\"\napi_secret = \"s\"\nshared_keys = \"a=b\"\n");
    assert_eq!(load(&[], &with_key).twilio[0].shared_keys.len(), 1);
}

#[test]
fn no_secret_is_shown() {
    let table = format!("{MARKETING}auth_token = \"hunter3\"\nshared_keys = \"a=hunter4\"\n");
    let settings = load(&[SID, TOKEN, ("TWILIO_SHARED_KEYS", "a=hunter5")], &table);
    let lines = shown(&settings);
    for expected in [
        "TWILIO_ACCOUNT_SID=AC1 (environment)",
        "TWILIO_AUTH_TOKEN=*** (environment)",
        "TWILIO_SHARED_KEYS=*** (environment)",
        "credentials.marketing.account_sid=AC2 (file)",
        "credentials.marketing.auth_token=*** (file)",
        "credentials.marketing.shared_keys=*** (file)",
    ] {
        assert!(lines.iter().any(|line| line == expected), "{lines:#?}");
    }
    let all = format!("{lines:?} {settings:?} {:?}", settings.twilio);
    assert!(!all.contains("hunter"), "{all}");

    let wrong = problems(
        &[
            ("TWILIO_AUTH_TOKEN", "hunter 2"),
            ("TWILIO_SHARED_KEYS", "hunter2"),
        ],
        &format!("{MARKETING}auth_token = \"hunter 3\"\nshared_keys = \"hunter3\"\n"),
    );
    assert_eq!(wrong.len(), 4, "{wrong:#?}");
    assert!(!wrong.join("\n").contains("hunter"), "{wrong:#?}");
}

#[test]
fn incomplete_credentials_name_the_field_and_the_remedy() {
    for (pairs, expected) in [
        (
            &[TOKEN][..],
            "TWILIO_ACCOUNT_SID is not set: set it to the SID of the account (AC...)",
        ),
        (
            &[("TWILIO_BASE_URL", "http://127.0.0.1:1")][..],
            "TWILIO_ACCOUNT_SID is not set: set it to the SID of the account (AC...)",
        ),
        (
            &[SID][..],
            "TWILIO_ACCOUNT_SID is set without TWILIO_AUTH_TOKEN: set it, or TWILIO_API_KEY and TWILIO_API_SECRET",
        ),
        (
            &[SID, TOKEN, ("TWILIO_API_KEY", "SK1")][..],
            "TWILIO_API_KEY is set without TWILIO_API_SECRET: set both, or neither",
        ),
        (
            &[SID, TOKEN, ("TWILIO_API_SECRET", "s")][..],
            "TWILIO_API_SECRET is set without TWILIO_API_KEY: set both, or neither",
        ),
    ] {
        assert_eq!(problems(pairs, ""), [expected]);
    }
}

#[test]
fn invalid_tables_name_the_field_and_the_remedy() {
    let of = |lines: &str| format!("{MARKETING}{lines}");
    for (text, expected) in [
        (
            "credentials = 1".to_owned(),
            "parlance.toml: credentials has the type integer; expected tables such as [credentials.marketing]",
        ),
        (
            "[credentials]\nmarketing = 1".to_owned(),
            "parlance.toml: credentials.marketing has the type integer; expected a table",
        ),
        (
            "[credentials.\"a b\"]\nprovider = \"twilio\"".to_owned(),
            "parlance.toml: credentials.a b: a name has letters, digits, '-', '_' and '.'; rename it",
        ),
        (
            "[credentials.a]\nprovider = \"other\"".to_owned(),
            "parlance.toml: credentials.a.provider is missing or unknown: set it to \"twilio\"",
        ),
        (
            "[credentials.a]\nprovider = \"twilio\"\nauth_token = \"x\"".to_owned(),
            "parlance.toml: credentials.a.account_sid is not set: set it to the SID of the account (AC...)",
        ),
        (
            of("auth_tokn = \"x\""),
            "parlance.toml: credentials.marketing.auth_tokn is not a field of the provider twilio; remove it",
        ),
        (
            of("auth_token = 1"),
            "parlance.toml: credentials.marketing.auth_token is not a text",
        ),
        (
            of("auth_token = \"x\"\nauth_token_file = \"secrets/token\""),
            "parlance.toml: credentials.marketing.auth_token and parlance.toml: credentials.marketing.auth_token_file are both set: remove one",
        ),
        (
            of("auth_token_file = \"none\""),
            "parlance.toml: credentials.marketing.auth_token_file: cannot read none: entity not found; check the path and its permissions",
        ),
        (
            of("auth_token = \"x\"\nbase_url = \"https://h/path\""),
            "parlance.toml: credentials.marketing.base_url is invalid; expected a URL without a path, such as https://api.twilio.com",
        ),
    ] {
        assert_eq!(problems(&[], &text), [expected]);
    }
    let twice =
        "[credentials.twilio]\nprovider = \"twilio\"\naccount_sid = \"AC2\"\nauth_token = \"x\"";
    let found = problems(&[SID, TOKEN], twice);
    assert!(
        found[0].starts_with("credentials.twilio and TWILIO_ACCOUNT_SID are both set"),
        "{found:?}"
    );
}

#[test]
fn credentials_that_are_probably_not_intended_are_warnings() {
    let local = ("TWILIO_BASE_URL", "http://127.0.0.1:8082");
    let public = ("PUBLIC_URL", "https://chat.example.com");
    let key = [("TWILIO_API_KEY", "SK1"), ("TWILIO_API_SECRET", "s")];
    for (pairs, expected) in [
        (vec![SID, TOKEN, local], None),
        (vec![SID, TOKEN, public], None),
        (vec![SID, TOKEN], Some("PUBLIC_URL is not set")),
        (
            vec![SID, key[0], key[1], public],
            Some("the credentials twilio have neither an auth token nor shared keys"),
        ),
        (
            vec![
                SID,
                TOKEN,
                public,
                ("TWILIO_BASE_URL", "http://api.example.com"),
            ],
            Some("the base URL of the credentials twilio is not https"),
        ),
    ] {
        let warnings = load(&pairs, "").warnings();
        assert_eq!(
            warnings.len(),
            usize::from(expected.is_some()),
            "{warnings:?}"
        );
        for (warning, expected) in warnings.iter().zip(expected) {
            assert!(warning.starts_with(expected), "{warning}");
        }
    }
}

#[test]
fn a_public_url_may_have_a_path_and_loses_its_last_slash() {
    let read = |url: &str| load(&[("PUBLIC_URL", url)], "").public_url;
    for (url, expected) in [
        ("https://h.example/", "https://h.example"),
        ("https://h.example:8443/a/b/", "https://h.example:8443/a/b"),
        ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
    ] {
        assert_eq!(read(url).as_deref(), Some(expected));
    }
    for url in [
        "h.example",
        "ftp://h.example",
        "https://user:password@h.example",
        "https://h.example/?a=1",
        "https://h.example/#a",
        "https://h.example/{a}",
        "https://my_host.example",
    ] {
        assert_eq!(problems(&[("PUBLIC_URL", url)], "").len(), 1, "{url}");
    }
}

#[test]
fn a_lease_is_longer_than_the_time_limit_of_a_provider() {
    let timeout = |seconds: &'static str| [("DELIVERY_PROVIDER_TIMEOUT", seconds)];
    assert_eq!(
        load(&timeout("14"), "").delivery_provider_timeout,
        Duration::from_secs(14)
    );
    let found = problems(&timeout("15"), "");
    let expected = "DELIVERY_LEASE is 15, but must be longer than DELIVERY_PROVIDER_TIMEOUT=15";
    assert!(found[0].starts_with(expected), "{found:?}");
}
