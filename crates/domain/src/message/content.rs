//! What a message may say on which channel: all that is wrong with it, at once.

mod part;
#[cfg(test)]
mod tests;

pub use part::AttachmentView;

use crate::{Channel, Role, Violation};

/// How much a message may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Characters of an SMS or MMS body.
    pub sms_body_chars: usize,
    /// Bytes of any other body, and of an HTML body.
    pub body_bytes: usize,
    /// Bytes of the metadata as JSON.
    pub metadata_bytes: usize,
    /// Attachments.
    pub attachments: usize,
    /// Bytes of one attachment.
    pub attachment_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sms_body_chars: 1_600,
            body_bytes: 256 * 1024,
            metadata_bytes: 16 * 1024,
            attachments: 10,
            attachment_bytes: 25 * 1024 * 1024,
        }
    }
}

/// The longest subject, in characters: RFC 5322 lets no line be longer.
const SUBJECT_CHARS: usize = 998;
/// Tokens of one message: billions of messages of so many have a sum.
const TOKENS: i64 = 1_000_000_000;

/// What a message says, borrowed from wherever it is. What a caller does not have stays at its default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ContentView<'a> {
    /// How it travels. `None` where that is not known yet, as at the edge when a request names a conversation: then only what
    /// holds on every channel is checked, and whoever has loaded the conversation checks again.
    pub channel: Option<Channel>,
    /// Whether it came to us: what has arrived may be empty, since nobody can be asked to say more.
    pub received: bool,
    /// Who speaks.
    pub role: Option<Role>,
    /// How many further recipients it has. The addresses themselves are checked by reading them.
    pub cc_addresses: usize,
    /// The subject.
    pub subject: &'a str,
    /// The text.
    pub body: &'a str,
    /// The HTML text.
    pub html_body: &'a str,
    /// What travels with it.
    pub attachments: &'a [AttachmentView<'a>],
    /// Tokens that its making used.
    pub tokens_used: Option<i64>,
    /// How long its making took.
    pub latency_ms: Option<i64>,
    /// The text of the metadata; empty for none.
    pub metadata: &'a str,
}

impl ContentView<'_> {
    /// Everything that is wrong, in the order of the contract's fields; empty if nothing is.
    #[must_use]
    pub fn check(&self, limits: &Limits) -> Vec<Violation> {
        let mut found = Found(Vec::new());
        self.check_role(&mut found);
        self.check_cc(&mut found);
        self.check_subject(&mut found);
        self.check_body(limits, &mut found);
        self.check_html_body(limits, &mut found);
        part::check(self.attachments, limits, &mut found);
        found.check_not_negative("tokens_used", self.tokens_used);
        if self.tokens_used.is_some_and(|tokens| tokens > TOKENS) {
            found.push("tokens_used", format!("at most {TOKENS}"));
        }
        found.check_not_negative("latency_ms", self.latency_ms);
        self.check_metadata(limits, &mut found);
        found.0
    }

    fn check_role(&self, found: &mut Found) {
        if self.role.is_some() && self.is_none_of(&[Channel::Chat]) {
            found.push("role", "only chat messages have a role; leave it out");
        }
    }

    fn check_cc(&self, found: &mut Found) {
        if self.cc_addresses > 0 && self.is_none_of(&[Channel::Email]) {
            found.push(
                "cc_addresses",
                "only mail has further recipients; leave them out",
            );
        }
    }

    fn check_subject(&self, found: &mut Found) {
        found.check_nul("subject", self.subject);
        if self.subject.is_empty() {
            return;
        }
        if self.is_none_of(&[Channel::Email]) {
            found.push("subject", "only mail has a subject; leave it out");
        }
        if self.subject.contains(is_line_break) {
            // In a header, what follows a line break would be a header of its own.
            found.push("subject", "a subject is one line; remove the line breaks");
        }
        if self.subject.chars().count() > SUBJECT_CHARS {
            found.push(
                "subject",
                format!("at most {SUBJECT_CHARS} characters; shorten it"),
            );
        }
    }

    fn check_body(&self, limits: &Limits, found: &mut Found) {
        found.check_nul("body", self.body);
        match self.channel {
            Some(Channel::Sms | Channel::Mms) => {
                if self.body.chars().count() > limits.sms_body_chars {
                    let most = limits.sms_body_chars;
                    found.push(
                        "body",
                        format!("at most {most} characters; shorten it or send several messages"),
                    );
                }
            }
            Some(Channel::Email | Channel::Chat) | None => {
                found.check_bytes("body", self.body, limits.body_bytes);
            }
        }
        if !self.received && !self.says_something() {
            found.push(
                "body",
                "the message says nothing; give a body or an attachment",
            );
        }
    }

    fn check_html_body(&self, limits: &Limits, found: &mut Found) {
        found.check_nul("html_body", self.html_body);
        if !self.html_body.is_empty() && self.is_none_of(&[Channel::Email]) {
            found.push("html_body", "only mail has an html body; use body");
        }
        found.check_bytes("html_body", self.html_body, limits.body_bytes);
    }

    fn check_metadata(&self, limits: &Limits, found: &mut Found) {
        if holds_nul_in_json(self.metadata) {
            found.push("metadata", NUL);
        }
        found.check_bytes("metadata", self.metadata, limits.metadata_bytes);
    }

    /// Blanks alone say nothing. A mail may say it all in its subject.
    fn says_something(&self) -> bool {
        let has_text = |text: &str| !text.trim().is_empty();
        has_text(self.body)
            || has_text(self.html_body)
            || !self.attachments.is_empty()
            || (has_text(self.subject) && !self.is_none_of(&[Channel::Email]))
    }

    /// Whether the channel is known and not one of these.
    fn is_none_of(&self, channels: &[Channel]) -> bool {
        self.channel
            .is_some_and(|channel| !channels.contains(&channel))
    }
}

const NUL: &str = "the character U+0000 cannot be stored; remove it";

/// The violations so far.
struct Found(Vec<Violation>);

impl Found {
    fn push(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.0.push(Violation::new(field, description));
    }

    /// Postgres holds no NUL in a text; a rule for both databases, or what one takes the other would refuse.
    fn check_nul(&mut self, field: &str, text: &str) {
        if text.contains('\0') {
            self.push(field, NUL);
        }
    }

    fn check_bytes(&mut self, field: &str, text: &str, most: usize) {
        if text.len() > most {
            self.push(field, format!("at most {most} bytes; shorten it"));
        }
    }

    fn check_not_negative(&mut self, field: &str, number: Option<i64>) {
        if number.is_some_and(|number| number < 0) {
            self.push(field, "must not be negative");
        }
    }
}

/// Everything that some program takes for the end of a line.
const fn is_line_break(c: char) -> bool {
    matches!(
        c,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// In JSON the character hides behind an escape, which jsonb refuses all the same. An escaped backslash before `u0000` is
/// no escape of it.
fn holds_nul_in_json(text: &str) -> bool {
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
