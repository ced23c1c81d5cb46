//! Output of `serve` when it is ready.

use std::net::SocketAddr;
use std::path::Path;

use parlance_server::wiring::reachable;

/// Listen addresses as one line of JSON.
pub(crate) fn ports(grpc: SocketAddr, http: SocketAddr) -> String {
    serde_json::json!({ "grpc": grpc, "http": http }).to_string()
}

/// Listen address of the simulator as one line of JSON.
pub(crate) fn port(http: SocketAddr) -> String {
    serde_json::json!({ "http": http }).to_string()
}

/// Text for the terminal when the simulator is ready.
pub(crate) fn simulator(http: SocketAddr, account: &str) -> String {
    let local = reachable(http);
    format!(
        "parlance simulate {version}
  HTTP     {http}  (Twilio's API, and /parlance.v1.SimulatorService/<Method>)
  account  {account}
No message leaves this machine.

Try it (the password is the token):
  curl -s -u {account} http://{local}/2010-04-01/Accounts/{account}/Messages.json --data-urlencode From=+15550001111 --data-urlencode To=+15552223333 -d Body=Hello
  curl -s http://{local}/parlance.v1.SimulatorService/ListSent -H 'content-type: application/json' -d '{{}}'
",
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// Text for the terminal. `program` is the command that started this process, `real_providers` are those whose messages
/// leave this machine.
pub(crate) fn text(
    grpc: SocketAddr,
    http: SocketAddr,
    cache: &str,
    real_providers: &[&str],
    program: &str,
) -> String {
    let providers = if real_providers.is_empty() {
        "Providers are simulated: no message leaves this machine.".to_owned()
    } else {
        format!("Messages are sent by {}.", real_providers.join(", "))
    };
    let program = quoted(program);
    let (local_grpc, local_http) = (reachable(grpc), reachable(http));
    format!(
        r#"parlance {version}
  gRPC   {grpc}
  HTTP   {http}  (JSON, /healthz, /readyz, /metrics)
  page   http://{local_http}/
  cache  {cache}
{providers}

Try it:
  {program} send --server http://{local_grpc} --from +15550001111 --to +15552223333 --wait "Hello"
  {program} watch --server http://{local_grpc} --since 0
  curl -s http://{local_http}/parlance.v1.MessageService/SendMessage -H 'content-type: application/json' -d '{{"channel":"CHANNEL_SMS","from_address":"+15550001111","to_address":"+15552223333","body":"Hello"}}'
"#,
        version = env!("CARGO_PKG_VERSION"),
    )
}

/// The command that starts this program from any directory: its name if the shell found it by name, else its path.
pub(crate) fn program(typed: Option<std::ffi::OsString>, exe: Option<&Path>) -> String {
    let typed = typed.unwrap_or_else(|| "parlance".into());
    let by_name = Path::new(&typed).components().count() == 1;
    match exe {
        Some(exe) if !by_name => exe.display().to_string(),
        Some(_) | None => typed.to_string_lossy().into_owned(),
    }
}

/// Quotes a path that has special characters of the shell.
fn quoted(program: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if program.chars().all(plain) {
        return program.to_owned();
    }
    format!("'{}'", program.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(ip: &str) -> (SocketAddr, SocketAddr) {
        let at = |port: u16| format!("{ip}:{port}").parse().unwrap();
        (at(50051), at(8080))
    }

    fn commands(text: &str) -> Vec<&str> {
        let lines = text.lines().skip_while(|line| *line != "Try it:");
        lines.skip(1).collect()
    }

    #[test]
    fn ports_are_one_line_of_json() {
        let (grpc, http) = addresses("127.0.0.1");
        assert_eq!(
            ports(grpc, http),
            r#"{"grpc":"127.0.0.1:50051","http":"127.0.0.1:8080"}"#
        );
    }

    #[test]
    fn the_simulator_names_its_address_and_account() {
        let address = "0.0.0.0:8090".parse().unwrap();
        assert_eq!(port(address), r#"{"http":"0.0.0.0:8090"}"#);
        let text = simulator(address, "AC1");
        assert!(text.contains("  HTTP     0.0.0.0:8090  "), "{text}");
        let url = "http://127.0.0.1:8090/2010-04-01/Accounts/AC1/Messages.json";
        assert!(text.contains(url), "{text}");
    }

    #[test]
    fn the_banner_has_three_commands_for_the_ports() {
        let (grpc, http) = addresses("127.0.0.1");
        let text = text(grpc, http, "memory", &[], "parlance");
        let [send, watch, curl] = commands(&text)[..] else {
            panic!("{text}")
        };
        assert!(send.starts_with("  parlance send --server http://127.0.0.1:50051 "));
        assert!(watch.starts_with("  parlance watch --server http://127.0.0.1:50051 "));
        assert!(curl.starts_with("  curl -s http://127.0.0.1:8080/parlance.v1."));
        assert!(text.contains("no message leaves this machine"));
        assert!(text.contains("  cache  memory\n"));
        assert!(text.contains("  http://127.0.0.1:8080/\n"));
    }

    #[test]
    fn the_banner_names_the_providers_that_send() {
        let (grpc, http) = addresses("127.0.0.1");
        let text = text(grpc, http, "memory", &["one", "two"], "parlance");
        assert!(
            text.contains("\nMessages are sent by one, two.\n"),
            "{text}"
        );
        assert!(!text.contains("no message leaves"), "{text}");
    }

    #[test]
    fn commands_use_loopback_for_unspecified_addresses() {
        for (all, one) in [("0.0.0.0", "127.0.0.1"), ("[::]", "[::1]")] {
            let (grpc, http) = addresses(all);
            let text = text(grpc, http, "memory", &[], "parlance");
            assert!(text.contains(&format!("gRPC   {all}:50051")), "{text}");
            let local = format!("http://{one}:");
            assert!(
                commands(&text).iter().all(|it| it.contains(&local)),
                "{text}"
            );
        }
    }

    #[test]
    fn the_program_is_a_name_or_a_quoted_path() {
        let exe = Path::new("/opt/my tools/parlance");
        let named = |typed: &str| program(Some(typed.into()), Some(exe));
        assert_eq!(named("parlance"), "parlance");
        assert_eq!(named("target/debug/parlance"), "/opt/my tools/parlance");
        assert_eq!(program(None, None), "parlance");
        assert_eq!(quoted("/opt/my tools/parlance"), "'/opt/my tools/parlance'");
    }
}
