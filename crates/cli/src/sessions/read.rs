//! Conversion of a session to a conversation and its messages of the contract.

use parlance_proto::v1;
use serde_json::value::RawValue;

use super::message::read_message;
use super::schema::Session;
use super::text::EnumField;
use super::{Transcript, object};

const CHANNEL: EnumField = EnumField {
    name: "channel",
    prefix: "CHANNEL_",
    values: "chat, sms or email",
};
const STATUS: EnumField = EnumField {
    name: "status",
    prefix: "CONVERSATION_STATUS_",
    values: "active, archived or closed",
};

/// Fields that have further names.
const SYNONYMS: [(&str, &str); 7] = [
    ("session_id", "session_id and external_id"),
    ("context", "context and metadata"),
    ("user", "user and user_email"),
    ("content", "content and body"),
    ("created_at", "created_at, timestamp and time"),
    ("tokens_used", "tokens_used and tokens"),
    ("latency_ms", "latency_ms and latency"),
];

/// Reads a session from its text. `name` is its key in an object of sessions.
pub(super) fn transcript(name: Option<&str>, text: &RawValue) -> Result<Transcript, String> {
    let text = text.get();
    let session = if name.is_some() && text.starts_with('[') {
        Session {
            messages: Some(parsed(text)?),
            ..Session::default()
        }
    } else if text.starts_with('{') {
        parsed(text)?
    } else {
        return Err("not a JSON object".to_owned());
    };
    conversation(name, session)
}

fn parsed<'de, T: serde::Deserialize<'de>>(text: &'de str) -> Result<T, String> {
    let mut text = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut text).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner().to_string();
        // The column in the line does not help users; the name of the field does.
        let inner = explained(inner.split(" at line ").next().unwrap_or_default());
        if path == "." {
            inner
        } else {
            format!("{path}: {inner}")
        }
    })
}

/// Returns the text for a field that occurs twice with all names of the field, and any other text as it is.
fn explained(text: &str) -> String {
    let field = text.strip_prefix("duplicate field `");
    let Some(field) = field.and_then(|rest| rest.strip_suffix('`')) else {
        return text.to_owned();
    };
    match SYNONYMS.iter().find(|(name, _)| *name == field) {
        Some((_, names)) => format!("{names} are one field; give it once"),
        None => format!("{field} is given twice; give it once"),
    }
}

fn conversation(name: Option<&str>, session: Session) -> Result<Transcript, String> {
    let Session {
        name: own_name,
        id,
        user,
        title,
        channel,
        participant_from,
        participant_to,
        status,
        created_at,
        context,
        messages,
    } = session;
    let external_id = name.map(str::to_owned).or(own_name).or(id);
    let external_id = external_id
        .filter(|id| !id.is_empty())
        .ok_or("session_id: required")?;
    let messages = messages.ok_or("messages: required")?;
    let channel = channel.as_deref().unwrap_or("chat");
    let status = status.as_deref().unwrap_or("active");
    let conversation = v1::Conversation {
        external_id,
        user: user.unwrap_or_default(),
        title: title.unwrap_or_default(),
        channel: CHANNEL.parse(channel, v1::Channel::from_str_name)?.into(),
        participant_from: participant_from.unwrap_or_default(),
        participant_to: participant_to.unwrap_or_default(),
        status: STATUS
            .parse(status, v1::ConversationStatus::from_str_name)?
            .into(),
        created_at: created_at.map(|at| at.0),
        metadata: context.map(object::to_contract),
        ..v1::Conversation::default()
    };
    let is_chat = conversation.channel() == v1::Channel::Chat;
    let mut read = Vec::with_capacity(messages.len());
    for (index, message) in messages.into_iter().enumerate() {
        let message = read_message(message, is_chat);
        read.push(message.map_err(|error| format!("messages[{index}].{error}"))?);
    }
    Ok(Transcript {
        conversation,
        messages: read,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: Option<&str>, text: &str) -> Result<Transcript, String> {
        transcript(name, &RawValue::from_string(text.to_owned()).unwrap())
    }

    #[test]
    fn a_session_without_a_channel_is_a_chat() {
        let text = r#"{"messages":[{"role":"user","content":"hi","timestamp":1600000000},
            {"role":"assistant","content":"hello","tokens":7,"latency":12.6,"tool":null}],
            "context":{"page":"cart"},"created_at":"2020-09-13 12:26:40","user_email":"ana@example.com"}"#;
        let transcript = read(Some("s1"), text).unwrap();
        let (conversation, messages) = (transcript.conversation, transcript.messages);
        assert_eq!(
            (conversation.external_id.as_str(), conversation.channel()),
            ("s1", v1::Channel::Chat)
        );
        assert_eq!(conversation.user, "ana@example.com");
        assert_eq!(conversation.created_at, messages[0].created_at);
        assert_eq!(messages[1].role(), v1::Role::Assistant);
        assert_eq!(
            (messages[1].tokens_used, messages[1].latency_ms),
            (Some(7), Some(13))
        );
        let bare = read(Some("s1"), r#"[{"role":"user","content":"hi"}]"#).unwrap();
        assert_eq!(bare.messages[0].body, "hi");
        let numbered = read(None, r#"{"id":7,"messages":[],"title":null}"#).unwrap();
        assert_eq!(numbered.conversation.external_id, "7");
    }

    #[test]
    fn an_invalid_session_is_reported_with_its_field() {
        for (text, expected) in [
            ("[]", "not a JSON object"),
            ("7", "not a JSON object"),
            (r#"{"messages":[]}"#, "session_id: required"),
            (r#"{"session_id":"","messages":[]}"#, "session_id: required"),
            (r#"{"session_id":"s"}"#, "messages: required"),
            (
                r#"{"session_id":"s","messages":{}}"#,
                "messages: invalid type",
            ),
            (
                r#"{"session_id":"s","messages":[{"role":"user","content":[]}]}"#,
                "messages[0].content: invalid type",
            ),
            (
                r#"{"session_id":"s","messages":[{"content":"x"}]}"#,
                "messages[0].role: required",
            ),
            (
                r#"{"session_id":"s","messages":[{"role":"tool","content":"x"}]}"#,
                "messages[0].role: unknown value \"tool\"; use user, assistant or system",
            ),
            (
                r#"{"session_id":"s","messages":[{"role":"user","time":"noon"}]}"#,
                "messages[0].time: expected a time",
            ),
            (
                r#"{"session_id":"s","messages":[{"role":"user","content":"x","body":"y"}]}"#,
                "messages[0]: content and body are one field; give it once",
            ),
            (
                r#"{"session_id":"s","messages":[],"channel":"fax"}"#,
                "channel: unknown value \"fax\"; use chat, sms or email",
            ),
            (
                r#"{"session_id":"s","messages":[],"status":"open"}"#,
                "status: unknown value \"open\"; use active, archived or closed",
            ),
            (
                r#"{"session_id":"s","messages":[{"role":"user","status":"done"}]}"#,
                "messages[0].status: unknown value \"done\"; use received, sent, delivered,",
            ),
            (
                r#"{"session_id":"s","messages":[],"title":"a","title":"b"}"#,
                "title is given twice; give it once",
            ),
        ] {
            let error = read(None, text).unwrap_err();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }
}
