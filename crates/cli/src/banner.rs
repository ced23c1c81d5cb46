//! What `serve` says when it serves.

use std::net::SocketAddr;

/// One line for programs.
pub(crate) fn ports(grpc: SocketAddr, http: SocketAddr) -> String {
    serde_json::json!({ "grpc": grpc, "http": http }).to_string()
}

/// A few lines for people.
pub(crate) fn text(grpc: SocketAddr, http: SocketAddr, reflection: bool) -> String {
    // Without reflection a client must be given the contract.
    let (grpcurl, buf) = if reflection {
        ("", "")
    } else {
        (
            " -import-path proto -proto parlance/v1/message_service.proto -proto parlance/v1/conversation_service.proto",
            " --schema proto",
        )
    };
    format!(
        r#"parlance {version}
  gRPC   {grpc}
  HTTP   http://{http}  (/healthz, /readyz, /metrics)
Providers are simulated: no message leaves this machine.

Try it:
  grpcurl -plaintext{grpcurl} -d '{{"channel":"CHANNEL_SMS","from_address":"+14155550100","to_address":"+14155550123","body":"Hello"}}' {grpc} parlance.v1.MessageService/SendMessage
  grpcurl -plaintext{grpcurl} -d '{{}}' {grpc} parlance.v1.ConversationService/ListConversations
  buf curl --http2-prior-knowledge --protocol grpc{buf} -d '{{"cursor":"0"}}' http://{grpc}/parlance.v1.EventService/WatchEvents
"#,
        version = env!("CARGO_PKG_VERSION"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> (SocketAddr, SocketAddr) {
        (
            "127.0.0.1:50051".parse().unwrap(),
            "127.0.0.1:8080".parse().unwrap(),
        )
    }

    #[test]
    fn programs_get_one_line_of_json() {
        let (grpc, http) = addresses();
        assert_eq!(
            ports(grpc, http),
            r#"{"grpc":"127.0.0.1:50051","http":"127.0.0.1:8080"}"#
        );
    }

    #[test]
    fn people_get_three_commands_for_the_ports_that_are_served() {
        let (grpc, http) = addresses();
        let text = text(grpc, http, true);
        let commands: Vec<_> = text
            .lines()
            .skip_while(|line| *line != "Try it:")
            .skip(1)
            .collect();
        assert_eq!(commands.len(), 3);
        assert!(
            commands
                .iter()
                .all(|command| command.contains("127.0.0.1:50051")),
            "{text}"
        );
        assert!(text.contains("no message leaves this machine"));
    }
}
