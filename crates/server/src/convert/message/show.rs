//! Conversion of messages to the contract.

use bytes::Bytes;
use parlance_app::messages::MessageBatch;
use parlance_app::{Answer, Page, etag};
use parlance_domain::message::{Fault, Progress};
use parlance_domain::{Attachment, Message};
use parlance_proto::v1;
use prost::encoding::{WireType, encode_key, encode_varint, key_len};
use prost::{Message as _, length_delimiter_len};

use crate::convert::enums;
use crate::convert::metadata;
use crate::convert::time::timestamp_to_proto;

/// Converts a message.
pub(crate) fn to_proto(message: Message) -> v1::Message {
    let Message {
        id,
        owner: _, // the caller is the owner
        conversation_id,
        sequence,
        channel,
        direction,
        role,
        from_address,
        to_address,
        cc_addresses,
        subject,
        body,
        html_body,
        quoted_body,
        attachments,
        provider,
        provider_message_id,
        progress,
        segments,
        tokens_used,
        latency_ms,
        metadata,
        policy: _,        // internal to the dispatcher
        counts_unread: _, // included in the count of the conversation
        send_at,
        expires_at,
        created_at,
        updated_at,
        version,
        edit_version,
    } = message;
    let Progress {
        status,
        attempt: _, // internal to the dispatcher
        error,
        sent_at,
        delivered_at,
        read_at,
    } = progress;
    v1::Message {
        id: id.to_string(),
        conversation_id: conversation_id.to_string(),
        sequence,
        channel: enums::channel_to_proto(channel),
        direction: enums::direction_to_proto(direction),
        status: enums::message_status_to_proto(status),
        role: role.map(enums::role_to_proto).unwrap_or_default(),
        from_address,
        to_address,
        cc_addresses,
        subject,
        body,
        html_body,
        quoted_body,
        attachments: attachments.into_iter().map(attachment).collect(),
        provider: provider.unwrap_or_default(),
        provider_message_id: provider_message_id.unwrap_or_default(),
        error: error.map(fault),
        segments,
        tokens_used,
        latency_ms,
        metadata: metadata::to_proto(&metadata),
        send_at: send_at.map(timestamp_to_proto),
        expires_at: expires_at.map(timestamp_to_proto),
        sent_at: sent_at.map(timestamp_to_proto),
        delivered_at: delivered_at.map(timestamp_to_proto),
        read_at: read_at.map(timestamp_to_proto),
        created_at: Some(timestamp_to_proto(created_at)),
        updated_at: Some(timestamp_to_proto(updated_at)),
        version,
        etag: etag(edit_version),
    }
}

fn attachment(attachment: Attachment) -> v1::Attachment {
    let Attachment {
        id,
        filename,
        content_type,
        size_bytes,
        url,
    } = attachment;
    v1::Attachment {
        id: id.to_string(),
        filename,
        content_type,
        size_bytes,
        url: url.unwrap_or_default(),
    }
}

fn fault(fault: Fault) -> v1::MessageError {
    let Fault {
        code,
        message,
        provider_code,
        from: _,        // used to merge reports
        occurred_at: _, // likewise
    } = fault;
    v1::MessageError {
        code,
        message,
        provider_code,
    }
}

/// Message, encoded as a reply.
pub(crate) fn encode(message: &Message) -> Bytes {
    to_proto(message.clone()).encode_to_vec().into()
}

/// Batch of messages, encoded as a reply.
pub(crate) fn encode_batch(batch: MessageBatch) -> Bytes {
    let MessageBatch { messages, missing } = batch;
    let rest = v1::BatchGetMessagesResponse {
        messages: Vec::new(), // encoded first
        missing_ids: missing.iter().map(ToString::to_string).collect(),
    };
    joined(messages, &rest)
}

/// Page of messages, encoded as a reply.
pub(crate) fn encode_page(page: Page<Answer<Message>>) -> Bytes {
    let Page {
        items,
        next_page_token,
        total_size,
    } = page;
    let rest = v1::ListMessagesResponse {
        messages: Vec::new(), // encoded first
        next_page_token,
        total_size: total_size.unwrap_or_default(),
    };
    joined(items, &rest)
}

/// Number of the field `messages` in both replies.
const MESSAGES: u32 = 1;

/// Joins encoded messages, as the first field, and the rest of their reply. Concatenated protobuf encodings are the
/// encoding of all their fields together.
fn joined(messages: Vec<Answer<Message>>, rest: &impl prost::Message) -> Bytes {
    let messages: Vec<Bytes> = messages
        .into_iter()
        .map(|message| match message {
            Answer::Encoded(message) => message,
            Answer::Value(message) => to_proto(message).encode_to_vec().into(),
        })
        .collect();
    let head = |message: &Bytes| key_len(MESSAGES) + length_delimiter_len(message.len());
    let bytes: usize = messages.iter().map(|m| head(m) + m.len()).sum();
    let mut reply = Vec::with_capacity(bytes + rest.encoded_len());
    for message in messages {
        encode_key(MESSAGES, WireType::LengthDelimited, &mut reply);
        encode_varint(message.len() as u64, &mut reply);
        reply.extend_from_slice(&message);
    }
    reply.extend_from_slice(&rest.encode_to_vec());
    reply.into()
}

#[cfg(test)]
mod tests {
    use parlance_domain::message::ReportStatus;
    use parlance_domain::{AttachmentId, Channel, ConversationId, Json, MessageId, MessageStatus};

    use super::*;
    use crate::convert::testing::{NOW, after_now};

    fn message() -> Message {
        let failed = Fault {
            code: "SPAM".to_owned(),
            message: "refused".to_owned(),
            provider_code: "30007".to_owned(),
            from: ReportStatus::Failed,
            occurred_at: NOW,
        };
        Message {
            id: MessageId::new(NOW, [1; 10]),
            conversation_id: ConversationId::new(NOW, [2; 10]),
            sequence: 3,
            channel: Channel::Mms,
            body: "hello".to_owned(),
            attachments: vec![Attachment {
                id: AttachmentId::new(NOW, [3; 10]),
                filename: "f".to_owned(),
                content_type: "a/b".to_owned(),
                size_bytes: 4,
                url: None,
            }],
            provider: Some("twilio".to_owned()),
            progress: Progress {
                status: MessageStatus::Failed,
                attempt: 2,
                error: Some(failed),
                sent_at: None,
                delivered_at: None,
                read_at: None,
            },
            tokens_used: Some(0),
            metadata: Json::from_text("{\"k\": 1}".to_owned()),
            expires_at: Some(NOW),
            created_at: NOW,
            updated_at: NOW,
            version: 9,
            edit_version: 2,
            ..parlance_testkit::message()
        }
    }

    #[test]
    fn unset_fields_stay_unset_and_internal_fields_are_omitted() {
        let shown = to_proto(message());
        assert_eq!(shown.status(), v1::MessageStatus::Failed);
        assert_eq!(
            (shown.channel(), shown.role()),
            (v1::Channel::Mms, v1::Role::Unspecified)
        );
        assert_eq!((shown.tokens_used, shown.latency_ms), (Some(0), None));
        assert_eq!((shown.send_at, shown.sent_at), (None, None));
        assert_eq!(shown.expires_at, Some(after_now(0)));
        assert_eq!(
            (shown.provider.as_str(), shown.provider_message_id.as_str()),
            ("twilio", "")
        );
        assert_eq!(shown.error.map(|error| error.code).as_deref(), Some("SPAM"));
        assert_eq!((shown.version, shown.etag.as_str()), (9, "\"2\""));
        assert_eq!(
            shown.metadata.map(|metadata| metadata.fields.len()),
            Some(1)
        );
        assert_eq!(
            (
                shown.attachments[0].size_bytes,
                shown.attachments[0].url.as_str()
            ),
            (4, "")
        );
    }

    /// The same messages, converted for prost.
    fn plain(messages: &[Message]) -> Vec<v1::Message> {
        messages.iter().cloned().map(to_proto).collect()
    }

    /// A small message, an empty one, and one with a length of more than one byte.
    fn messages() -> Vec<Message> {
        let of = |body: String| Message { body, ..message() };
        vec![message(), of(String::new()), of("x".repeat(20_000))]
    }

    /// Encoded messages, as the in-process cache stores them, alternating with values.
    fn mixed(messages: &[Message]) -> Vec<Answer<Message>> {
        let answer = |(index, message): (usize, &Message)| match index % 2 {
            0 => Answer::Encoded(encode(message)),
            _ => Answer::Value(message.clone()),
        };
        messages.iter().enumerate().map(answer).collect()
    }

    #[test]
    fn a_page_is_joined_as_prost_encodes_it() {
        for (messages, token, total_size) in [
            (messages(), "t", Some(300)),
            (messages(), "", None),
            (Vec::new(), "", Some(0)),
        ] {
            let expected = v1::ListMessagesResponse {
                messages: plain(&messages),
                next_page_token: token.to_owned(),
                total_size: total_size.unwrap_or_default(),
            };
            let page = Page {
                items: mixed(&messages),
                next_page_token: token.to_owned(),
                total_size,
            };
            assert_eq!(encode_page(page), expected.encode_to_vec());
        }
    }

    #[test]
    fn a_batch_is_joined_as_prost_encodes_it_and_lists_missing_ids() {
        let missing = vec![MessageId::new(NOW, [7; 10])];
        let expected = v1::BatchGetMessagesResponse {
            messages: plain(&messages()),
            missing_ids: vec![missing[0].to_string()],
        };
        let batch = MessageBatch {
            messages: mixed(&messages()),
            missing,
        };
        assert_eq!(encode_batch(batch), expected.encode_to_vec());
        assert!(encode_batch(MessageBatch::default()).is_empty());
    }
}
