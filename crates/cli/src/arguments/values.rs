//! Parsers of argument values. Checks that only the service can make are left to it.

use clap::ValueEnum;
use parlance_proto::v1;
use prost_types::Timestamp;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Uri;

pub(crate) const DEFAULT_SERVER: &str = "http://127.0.0.1:50051";

/// Address of a service: `http://host:port`.
#[derive(Debug, Clone)]
pub(crate) struct Server(pub(crate) String);

pub(crate) type Owner = MetadataValue<Ascii>;

/// An empty text selects the default: Compose files and systemd units pass unset variables this way.
pub(super) fn server(text: &str) -> Result<Server, String> {
    let url = match text.trim_end_matches('/') {
        "" => DEFAULT_SERVER.to_owned(),
        url if url.contains("://") => url.to_owned(),
        address => format!("http://{address}"),
    };
    let parts = url.parse::<Uri>().ok().map(Uri::into_parts);
    let parts = parts.ok_or_else(|| format!("expected an address such as {DEFAULT_SERVER}"))?;
    let bare = parts.path_and_query.is_none_or(|path| path == "/");
    let scheme = parts.scheme.as_ref();
    match scheme.map(AsRef::<str>::as_ref) {
        Some("http") if bare => Ok(Server(url)),
        Some("https") => Err(format!(
            "this version does not support TLS; use an address such as {DEFAULT_SERVER}"
        )),
        Some(_) | None => Err(format!("expected an address such as {DEFAULT_SERVER}")),
    }
}

pub(super) fn owner(text: &str) -> Result<Owner, String> {
    text.parse()
        .map_err(|_| "expected printable ASCII characters".to_owned())
}

pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "expected a time such as 2026-01-31T09:00:00Z".to_owned())
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ChannelName {
    Sms,
    Email,
    Chat,
}

impl From<ChannelName> for v1::Channel {
    fn from(name: ChannelName) -> Self {
        match name {
            ChannelName::Sms => Self::Sms,
            ChannelName::Email => Self::Email,
            ChannelName::Chat => Self::Chat,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum RoleName {
    User,
    Assistant,
    System,
}

impl From<RoleName> for v1::Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::User => Self::User,
            RoleName::Assistant => Self::Assistant,
            RoleName::System => Self::System,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum StatusName {
    Active,
    Archived,
    Closed,
}

impl From<StatusName> for v1::ConversationStatus {
    fn from(name: StatusName) -> Self {
        match name {
            StatusName::Active => Self::Active,
            StatusName::Archived => Self::Archived,
            StatusName::Closed => Self::Closed,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MessageChannelName {
    Sms,
    Mms,
    Email,
    Chat,
}

impl From<MessageChannelName> for v1::Channel {
    fn from(name: MessageChannelName) -> Self {
        match name {
            MessageChannelName::Sms => Self::Sms,
            MessageChannelName::Mms => Self::Mms,
            MessageChannelName::Email => Self::Email,
            MessageChannelName::Chat => Self::Chat,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum DirectionName {
    Inbound,
    Outbound,
}

impl From<DirectionName> for v1::Direction {
    fn from(name: DirectionName) -> Self {
        match name {
            DirectionName::Inbound => Self::Inbound,
            DirectionName::Outbound => Self::Outbound,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MessageStatusName {
    Scheduled,
    Pending,
    Sending,
    Uncertain,
    Sent,
    Delivered,
    Read,
    Undelivered,
    Failed,
    Expired,
    Canceled,
    Received,
}

impl From<MessageStatusName> for v1::MessageStatus {
    fn from(name: MessageStatusName) -> Self {
        match name {
            MessageStatusName::Scheduled => Self::Scheduled,
            MessageStatusName::Pending => Self::Pending,
            MessageStatusName::Sending => Self::Sending,
            MessageStatusName::Uncertain => Self::Uncertain,
            MessageStatusName::Sent => Self::Sent,
            MessageStatusName::Delivered => Self::Delivered,
            MessageStatusName::Read => Self::Read,
            MessageStatusName::Undelivered => Self::Undelivered,
            MessageStatusName::Failed => Self::Failed,
            MessageStatusName::Expired => Self::Expired,
            MessageStatusName::Canceled => Self::Canceled,
            MessageStatusName::Received => Self::Received,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_an_address_with_or_without_its_scheme() {
        for (text, url) in [
            ("", DEFAULT_SERVER),
            ("localhost:7000", "http://localhost:7000"),
            ("http://127.0.0.1:7000/", "http://127.0.0.1:7000"),
        ] {
            assert_eq!(server(text).unwrap().0, url);
        }
        for invalid in ["https://h:1", "ftp://h:1", "http://h:1/path", "a b"] {
            assert!(server(invalid).is_err(), "{invalid}");
        }
    }

    #[test]
    fn a_time_may_have_any_zone() {
        let noon = time("2026-01-31T12:00:00Z").unwrap();
        assert_eq!(time("2026-01-31T13:00:00+01:00").unwrap(), noon);
        assert!(time("tomorrow").is_err());
    }
}
