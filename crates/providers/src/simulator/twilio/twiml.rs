//! Replies in the response to an inbound webhook: `<Response><Message>...</Message></Response>`.
//!
//! Only messages are read; other verbs have no effect. The input is bounded by the caller.

/// Maximum number of replies to one inbound message.
const MAX_MESSAGES: usize = 10;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TwimlMessage {
    /// Text.
    pub body: String,
    /// URLs of attached files.
    pub media: Vec<String>,
    /// Recipient; the sender of the inbound message if it is empty.
    pub to: String,
    /// Sender; the recipient of the inbound message if it is empty.
    pub from: String,
    /// URL that the status is reported to; empty without one.
    pub callback: String,
}

/// Part of a document.
#[derive(Debug, PartialEq, Eq)]
enum Part<'a> {
    Open(&'a str, &'a str),
    Close(&'a str),
    Text(String),
}

/// Returns the messages of a document. One that is not XML has none.
#[must_use]
pub fn messages(document: &str) -> Vec<TwimlMessage> {
    let mut messages = Vec::new();
    let mut current: Option<TwimlMessage> = None;
    let mut inside = "";
    for part in parts(document) {
        match part {
            Part::Open("Message" | "Sms", attributes) => {
                inside = "";
                current = Some(TwimlMessage {
                    to: attribute(attributes, "to"),
                    from: attribute(attributes, "from"),
                    callback: attribute(attributes, "statusCallback"),
                    ..TwimlMessage::default()
                });
            }
            Part::Close("Message" | "Sms") => {
                messages.extend(current.take().map(trimmed));
                if messages.len() >= MAX_MESSAGES {
                    break;
                }
            }
            Part::Open(name, _) => inside = name,
            Part::Close(_) => inside = "",
            Part::Text(text) => {
                if let Some(message) = &mut current {
                    match inside {
                        "Media" => message.media.push(text.trim().to_owned()),
                        "" | "Body" => message.body.push_str(&text),
                        _ => {}
                    }
                }
            }
        }
    }
    messages
}

fn trimmed(message: TwimlMessage) -> TwimlMessage {
    let body = message.body.trim().to_owned();
    TwimlMessage { body, ..message }
}

/// Splits a document into its tags and texts.
fn parts(document: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = document;
    // The end of an element that was opened and closed by one tag.
    let mut pending = None;
    std::iter::from_fn(move || {
        loop {
            if let Some(name) = pending.take() {
                return Some(Part::Close(name));
            }
            if rest.is_empty() {
                return None;
            }
            if let Some(after) = rest.strip_prefix("<![CDATA[") {
                let (text, after) = after.split_once("]]>").unwrap_or((after, ""));
                rest = after;
                return Some(Part::Text(text.to_owned()));
            }
            if let Some(after) = rest.strip_prefix("<!--") {
                rest = after.split_once("-->").map_or("", |(_, after)| after);
                continue;
            }
            let Some(tag) = rest.strip_prefix('<') else {
                let end = rest.find('<').unwrap_or(rest.len());
                let (text, after) = rest.split_at(end);
                rest = after;
                return Some(Part::Text(unescaped(text)));
            };
            let Some((tag, after)) = tag.split_once('>') else {
                rest = "";
                return None;
            };
            rest = after;
            if tag.starts_with(['?', '!']) {
                continue;
            }
            if let Some(name) = tag.strip_prefix('/') {
                return Some(Part::Close(name.trim()));
            }
            let is_empty = tag.ends_with('/');
            let tag = tag.strip_suffix('/').unwrap_or(tag);
            let (name, attributes) = tag
                .split_once(|c: char| c.is_ascii_whitespace())
                .unwrap_or((tag, ""));
            if is_empty {
                pending = Some(name);
            }
            return Some(Part::Open(name, attributes));
        }
    })
}

/// Value of an attribute; empty if it is missing.
fn attribute(attributes: &str, name: &str) -> String {
    let mut rest = attributes;
    while let Some((found, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            break;
        };
        let Some((value, after)) = after[1..].split_once(quote) else {
            break;
        };
        if found.trim() == name {
            return unescaped(value);
        }
        rest = after;
    }
    String::new()
}

/// Replaces the references of XML. Unknown ones stay as they are.
fn unescaped(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        unescaped.push_str(before);
        let reference = after.split_once(';');
        let character = reference.and_then(|(name, _)| character(name));
        if let (Some((_, after)), Some(character)) = (reference, character) {
            unescaped.push(character);
            rest = after;
        } else {
            unescaped.push('&');
            rest = after;
        }
    }
    unescaped.push_str(rest);
    unescaped
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(document: &str) -> Vec<String> {
        let messages = messages(document).into_iter();
        messages.map(|message| message.body).collect()
    }

    #[test]
    fn messages_are_read_in_both_forms() {
        let document = r#"<?xml version="1.0" encoding="UTF-8"?>
            <Response>
              <!-- <Message>no</Message> -->
              <Message>Thank you &amp; good bye &#8364;</Message>
              <Message to="+15552223333" statusCallback='http://h/s?a=1&amp;b=2'>
                <Body>with a file</Body>
                <Media>http://h/cat.png</Media>
              </Message>
              <Message><![CDATA[1 < 2]]></Message>
              <Redirect>http://h/</Redirect>
            </Response>"#;
        let read = messages(document);
        assert_eq!(
            bodies(document),
            ["Thank you & good bye \u{20ac}", "with a file", "1 < 2"]
        );
        assert_eq!(read[1].media, ["http://h/cat.png"]);
        assert_eq!(read[1].to, "+15552223333");
        assert_eq!(read[1].callback, "http://h/s?a=1&b=2");
    }

    #[test]
    fn no_document_is_an_error() {
        for document in [
            "",
            "<Response/>",
            "<Response></Response>",
            "plain text",
            "<Message",
            "<Message>open",
            "<![CDATA[",
            "<!--",
            "<Message to=>x</Message",
            "&#x110000;&",
        ] {
            assert_eq!(messages(document), [], "{document}");
        }
        assert_eq!(bodies("<Message to=\u{e4}>x</Message>"), ["x"]);
        assert_eq!(bodies("<Message/>"), [""]);
        let many = "<Message>x</Message>".repeat(100);
        assert_eq!(messages(&many).len(), MAX_MESSAGES);
    }
}
