//! Content rules per channel. All violations are reported at once.

mod limits;
mod part;
#[cfg(test)]
mod tests;
mod violations;

pub use limits::Limits;
pub use part::AttachmentView;

use crate::{Channel, Json, Role, Violation};
use violations::{NUL, Violations};

/// Maximum length of a subject in characters: the line length limit of RFC 5322.
const SUBJECT_CHARS: usize = 998;
/// Maximum number of further recipients: every list that contains the message returns all of them.
pub const MAX_CC_ADDRESSES: usize = 100;
/// Maximum number of tokens of one message. The sum over billions of messages still fits an `i64`.
const TOKENS: i64 = 1_000_000_000;

/// Content of a new message: what its author determines, without the attachments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// Author; chat only.
    pub role: Option<Role>,
    /// Further recipients; mail only.
    pub cc_addresses: Vec<String>,
    /// Subject; mail only.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// HTML text; mail only.
    pub html_body: String,
    /// Text that a reply quotes; mail only.
    pub quoted_body: String,
    /// Tokens used to generate the message.
    pub tokens_used: Option<i64>,
    /// Milliseconds that generating the message took.
    pub latency_ms: Option<i64>,
    /// Metadata of the owner.
    pub metadata: Json,
}

impl Content {
    /// Returns the view that the content rules check.
    #[must_use]
    pub fn view<'a>(
        &'a self,
        channel: Option<Channel>,
        received: bool,
        attachments: &'a [AttachmentView<'a>],
    ) -> ContentView<'a> {
        let Self {
            role,
            cc_addresses,
            subject,
            body,
            html_body,
            quoted_body,
            tokens_used,
            latency_ms,
            metadata,
        } = self;
        ContentView {
            channel,
            received,
            role: *role,
            cc_addresses: cc_addresses.len(),
            subject,
            body,
            html_body,
            quoted_body,
            attachments,
            tokens_used: *tokens_used,
            latency_ms: *latency_ms,
            metadata: metadata.as_str(),
        }
    }
}

/// Borrowed view of a message's content. Fields that the caller does not know keep their default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContentView<'a> {
    /// Channel; `None` while it is unknown, for example before the conversation that a request names is loaded. Then
    /// only the rules of all channels are checked, and the content is checked again once the conversation is loaded.
    pub channel: Option<Channel>,
    /// Whether the message is inbound. An inbound message may be empty, because it is stored as it arrived.
    pub received: bool,
    /// Author, for chat.
    pub role: Option<Role>,
    /// Number of further recipients. The addresses themselves are checked by parsing them.
    pub cc_addresses: usize,
    /// Subject.
    pub subject: &'a str,
    /// Plain text.
    pub body: &'a str,
    /// HTML text.
    pub html_body: &'a str,
    /// Text that a reply quotes.
    pub quoted_body: &'a str,
    /// Attachments.
    pub attachments: &'a [AttachmentView<'a>],
    /// Tokens used to generate the message.
    pub tokens_used: Option<i64>,
    /// Milliseconds that generating the message took.
    pub latency_ms: Option<i64>,
    /// Metadata as JSON text; empty for none.
    pub metadata: &'a str,
}

impl ContentView<'_> {
    /// Returns all violations in the order of the contract's fields; empty if the content is valid.
    #[must_use]
    pub fn check(&self, limits: &Limits) -> Vec<Violation> {
        let mut violations = Violations(Vec::new());
        self.check_role(&mut violations);
        self.check_cc(&mut violations);
        self.check_subject(&mut violations);
        self.check_body(limits, &mut violations);
        self.check_html_body(limits, &mut violations);
        self.check_quoted_body(limits, &mut violations);
        part::check(self.attachments, limits, &mut violations);
        violations.check_not_negative("tokens_used", self.tokens_used);
        if self.tokens_used.is_some_and(|tokens| tokens > TOKENS) {
            violations.push("tokens_used", format!("at most {TOKENS}"));
        }
        violations.check_not_negative("latency_ms", self.latency_ms);
        self.check_metadata(limits, &mut violations);
        violations.0
    }

    fn check_role(&self, violations: &mut Violations) {
        if self.role.is_some() && self.is_none_of(&[Channel::Chat]) {
            violations.push("role", "only chat messages have a role; leave it out");
        }
    }

    fn check_cc(&self, violations: &mut Violations) {
        if self.cc_addresses > 0 && self.is_none_of(&[Channel::Email]) {
            violations.push(
                "cc_addresses",
                "only mail has further recipients; leave cc_addresses out",
            );
        } else if self.cc_addresses > MAX_CC_ADDRESSES {
            violations.push(
                "cc_addresses",
                format!("at most {MAX_CC_ADDRESSES} addresses; remove some"),
            );
        }
    }

    fn check_subject(&self, violations: &mut Violations) {
        violations.check_nul("subject", self.subject);
        if self.subject.is_empty() {
            return;
        }
        if self.is_none_of(&[Channel::Email]) {
            violations.push("subject", "only mail has a subject; leave it out");
        }
        if self.subject.contains(is_line_break) {
            // A line break in a header would start another header.
            violations.push("subject", "a subject is one line; remove the line breaks");
        }
        if self.subject.chars().count() > SUBJECT_CHARS {
            violations.push(
                "subject",
                format!("at most {SUBJECT_CHARS} characters; shorten it"),
            );
        }
    }

    fn check_body(&self, limits: &Limits, violations: &mut Violations) {
        violations.check_nul("body", self.body);
        match self.channel {
            Some(Channel::Sms | Channel::Mms) => {
                if self.body.chars().count() > limits.sms_body_chars {
                    let most = limits.sms_body_chars;
                    violations.push(
                        "body",
                        format!("at most {most} characters; shorten it or send several messages"),
                    );
                }
            }
            Some(Channel::Email | Channel::Chat) | None => {
                violations.check_bytes("body", self.body, limits.body_bytes);
            }
        }
        if !self.received && !self.has_content() {
            violations.push("body", "the message is empty; set a body or an attachment");
        }
    }

    fn check_html_body(&self, limits: &Limits, violations: &mut Violations) {
        violations.check_nul("html_body", self.html_body);
        if !self.html_body.is_empty() && self.is_none_of(&[Channel::Email]) {
            violations.push("html_body", "only mail has an html body; use body");
        }
        violations.check_bytes("html_body", self.html_body, limits.body_bytes);
    }

    fn check_quoted_body(&self, limits: &Limits, violations: &mut Violations) {
        violations.check_nul("quoted_body", self.quoted_body);
        if !self.quoted_body.is_empty() && self.is_none_of(&[Channel::Email]) {
            violations.push("quoted_body", "only mail has a quoted body; leave it out");
        }
        violations.check_bytes("quoted_body", self.quoted_body, limits.body_bytes);
    }

    fn check_metadata(&self, limits: &Limits, violations: &mut Violations) {
        if contains_nul(self.metadata) {
            violations.push("metadata", NUL);
        }
        violations.check_bytes("metadata", self.metadata, limits.metadata_bytes);
    }

    /// Whether the message has any content. White space does not count. A mail may consist of its subject only.
    fn has_content(&self) -> bool {
        let has_text = |text: &str| !text.trim().is_empty();
        has_text(self.body)
            || has_text(self.html_body)
            || !self.attachments.is_empty()
            || (has_text(self.subject) && !self.is_none_of(&[Channel::Email]))
    }

    /// Whether the channel is known and is none of these.
    fn is_none_of(&self, channels: &[Channel]) -> bool {
        self.channel
            .is_some_and(|channel| !channels.contains(&channel))
    }
}

/// Whether any common program treats the character as a line break.
const fn is_line_break(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Whether a JSON text contains U+0000, raw or escaped; `jsonb` refuses both. A backslash that is itself escaped does
/// not start an escape sequence.
fn contains_nul(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '\0']) {
        let Some(escape) = rest.get(at..).and_then(|tail| tail.strip_prefix('\\')) else {
            return true;
        };
        if escape.starts_with("u0000") {
            return true;
        }
        let mut after = escape.chars();
        after.next();
        rest = after.as_str();
    }
    false
}
