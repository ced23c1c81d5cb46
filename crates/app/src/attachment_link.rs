//! Short-lived URLs at which a provider fetches stored attachments.

use std::time::Duration;

use parlance_domain::{AttachmentId, MessageId, Timestamp};
use parlance_providers::LinkKey;

/// How long a provider may fetch an attachment: it does so after it has accepted the message, and repeats it.
const LIFETIME: Duration = Duration::from_hours(1);

/// What a URL refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttachmentLink {
    pub(crate) message_id: MessageId,
    pub(crate) attachment_id: AttachmentId,
    expires_at: Timestamp,
}

impl AttachmentLink {
    /// A link to an attachment of a message that is handed over until `handed_over`.
    pub(crate) fn new(
        message_id: MessageId,
        attachment_id: AttachmentId,
        handed_over: Timestamp,
    ) -> Self {
        Self {
            message_id,
            attachment_id,
            expires_at: handed_over.plus(LIFETIME),
        }
    }

    /// Returns the last part of the URL.
    pub(crate) fn token(self, key: &LinkKey) -> String {
        let Self {
            message_id,
            attachment_id,
            expires_at,
        } = self;
        let expires_at = expires_at.as_micros();
        key.sign(&format!("{message_id} {attachment_id} {expires_at}"))
    }

    /// Returns what a token refers to, if the key has signed it and it has not expired.
    pub(crate) fn verify(token: &str, key: &LinkKey, now: Timestamp) -> Option<Self> {
        let text = key.verify(token)?;
        let mut parts = text.split(' ');
        let link = Self {
            message_id: MessageId::parse(parts.next()?)?,
            attachment_id: AttachmentId::parse(parts.next()?)?,
            expires_at: Timestamp::from_micros(parts.next()?.parse().ok()?),
        };
        (link.expires_at > now).then_some(link)
    }
}

#[cfg(test)]
mod tests {
    use parlance_providers::Secret;

    use super::*;

    #[test]
    fn a_link_is_valid_until_it_expires() {
        let now = Timestamp::from_micros(1_000_000);
        let key = LinkKey::derive(&Secret::from("secret".to_owned()));
        let link = AttachmentLink::new(
            MessageId::new(now, [1; 10]),
            AttachmentId::new(now, [2; 10]),
            now,
        );
        let token = link.token(&key);
        let last = now.plus(LIFETIME).minus(Duration::from_micros(1));
        assert_eq!(AttachmentLink::verify(&token, &key, last), Some(link));
        let expired = AttachmentLink::verify(&token, &key, now.plus(LIFETIME));
        assert_eq!(expired, None);
        let other = LinkKey::derive(&Secret::from("other".to_owned()));
        assert_eq!(AttachmentLink::verify(&token, &other, now), None);
        let malformed = key.sign("x");
        assert_eq!(AttachmentLink::verify(&malformed, &key, now), None);
    }
}
