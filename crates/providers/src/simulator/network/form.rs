//! Form parameters of Twilio's webhooks.

use super::message::{Direction, Media, Message, Status};

/// Version of the API.
pub const API_VERSION: &str = "2010-04-01";

/// Parameters of a status callback.
pub(super) fn status(message: &Message, status: Status, error: Option<u32>) -> Form {
    let word = status.as_str();
    let mut form = Form::default();
    form.add("SmsSid", &message.sid);
    form.add("SmsStatus", word);
    form.add("MessageStatus", word);
    form.add("To", &message.to);
    form.add("MessageSid", &message.sid);
    form.add("AccountSid", &message.account);
    if !message.service.is_empty() {
        form.add("MessagingServiceSid", &message.service);
    }
    form.add("From", &message.from);
    form.add("ApiVersion", API_VERSION);
    if let Some(code) = error {
        form.add("ErrorCode", &code.to_string());
    }
    form
}

/// Path of a file of a message, below the URL of the API.
#[must_use]
pub fn media_path(message: &Message, media: &Media) -> String {
    let (account, sid, media) = (&message.account, &message.sid, &media.sid);
    format!("/{API_VERSION}/Accounts/{account}/Messages/{sid}/Media/{media}")
}

/// Parameters of an inbound message.
pub(super) fn inbound(message: &Message, base_url: &str) -> Form {
    let mut form = Form::default();
    for place in ["City", "State", "Zip"] {
        form.add(&format!("To{place}"), "");
        form.add(&format!("From{place}"), "");
    }
    form.add("ToCountry", country(&message.to));
    form.add("FromCountry", country(&message.from));
    form.add("SmsMessageSid", &message.sid);
    form.add("SmsSid", &message.sid);
    form.add("MessageSid", &message.sid);
    form.add("AccountSid", &message.account);
    if !message.service.is_empty() {
        form.add("MessagingServiceSid", &message.service);
    }
    form.add("From", &message.from);
    form.add("To", &message.to);
    form.add("Body", &message.body);
    form.add("SmsStatus", Status::Received.as_str());
    form.add("NumSegments", &segments(message).to_string());
    form.add("NumMedia", &message.media.len().to_string());
    for (position, media) in message.media.iter().enumerate() {
        let url = format!("{base_url}{}", media_path(message, media));
        form.add(&format!("MediaUrl{position}"), &url);
        form.add(&format!("MediaContentType{position}"), &media.content_type);
    }
    form.add("ApiVersion", API_VERSION);
    form
}

fn country(number: &str) -> &'static str {
    if number.starts_with("+1") { "US" } else { "" }
}

/// Parameters in the order in which they are sent.
#[derive(Debug, Default)]
pub(super) struct Form(pub(super) Vec<(String, String)>);

impl Form {
    fn add(&mut self, name: &str, value: &str) {
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// Number of segments that the API shows: at least one.
#[must_use]
pub fn segments(message: &Message) -> i32 {
    match message.direction {
        // A Messaging Service counts when it has chosen a sender.
        Direction::Outbound if message.from.is_empty() => 0,
        Direction::Outbound | Direction::Reply | Direction::Inbound => {
            parlance_domain::sms::measure(&message.body).segments.max(1)
        }
    }
}
