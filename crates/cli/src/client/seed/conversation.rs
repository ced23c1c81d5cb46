//! Generator of a sample conversation.

use parlance_proto::v1::{self, Channel, Direction, MessageStatus, Role};
use prost_types::value::Kind;
use prost_types::{Struct, Timestamp, Value};

use super::random::Random;
use super::texts::{Texts, Topic};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Range of the start of a conversation, in days before the end.
const DAYS_BEFORE: std::ops::Range<i64> = 8..190;
/// Prefix of fictitious phone numbers, followed by seven digits.
const PHONE_PREFIX: &str = "+1555";
const PHONES: u64 = 10_000_000;

/// Sample conversation that is being generated.
pub(super) struct GeneratedConversation<'a> {
    texts: &'a Texts,
    random: Random,
    seed: u64,
    number: u64,
    channel: Channel,
    topic: &'a Topic,
    customer: (&'a str, &'a str),
    agent: &'a str,
    city: &'a str,
    product: &'a str,
    order: i64,
    cents: i64,
    title: String,
    /// Time of the next message.
    clock: i64,
    until: i64,
}

impl<'a> GeneratedConversation<'a> {
    /// Begins a conversation; `None` if there is no topic.
    pub(super) fn new(
        texts: &'a Texts,
        mut random: Random,
        (seed, number): (u64, u64),
        until: Timestamp,
    ) -> Option<Self> {
        let channel = match random.within(0..100) {
            0..60 => Channel::Chat,
            60..85 => Channel::Sms,
            _ => Channel::Email,
        };
        let days = random.within(DAYS_BEFORE);
        let mut generated = Self {
            channel,
            topic: random.pick(&texts.topics)?,
            customer: (
                random.pick_text(&texts.first_names),
                random.pick_text(&texts.last_names),
            ),
            agent: random.pick_text(&texts.agents),
            city: random.pick_text(&texts.cities),
            product: random.pick_text(&texts.products),
            order: random.within(100_000..1_000_000),
            cents: random.within(900..90_000),
            title: String::new(),
            // By day, when customers write to shops.
            clock: until.seconds - days * DAY + random.within(7 * HOUR..21 * HOUR),
            until: until.seconds,
            seed,
            number,
            texts,
            random,
        };
        let title = generated.random.pick_text(&generated.topic.titles);
        generated.title = generated.filled(title);
        Some(generated)
    }

    /// Returns the messages; the customer begins.
    pub(super) fn messages(&mut self) -> Vec<v1::Message> {
        let rounds = self.random.within(0..6);
        let (topic, texts) = (self.topic, self.texts);
        let mut messages = vec![
            self.message(Role::User, &topic.questions),
            self.message(Role::Assistant, &topic.answers),
        ];
        for _ in 0..rounds {
            messages.push(self.message(Role::User, &topic.further));
            messages.push(self.message(Role::Assistant, &topic.details));
        }
        if self.random.percent(70) {
            messages.push(self.message(Role::User, &texts.thanks));
            if self.random.percent(60) {
                messages.push(self.message(Role::Assistant, &texts.closings));
            }
        }
        messages
    }

    /// Returns the conversation of these messages.
    pub(super) fn conversation(&mut self, messages: &[v1::Message]) -> v1::Conversation {
        use v1::ConversationStatus::{Active, Archived, Closed};
        let (from, to) = self.addresses();
        let status = match self.random.within(0..100) {
            0..70 => Active,
            70..92 => Archived,
            _ => Closed,
        };
        let order = format!("HP-{}", self.order);
        let metadata = [("order", order), ("topic", self.topic.name.clone())];
        let member = |(name, text): (&str, String)| {
            let kind = Some(Kind::StringValue(text));
            (name.to_owned(), Value { kind })
        };
        v1::Conversation {
            external_id: format!("seed-{}-{}", self.seed, self.number),
            user: format!("{}@harborpine.example", self.agent),
            channel: self.channel.into(),
            participant_from: from,
            participant_to: to,
            title: self.title.clone(),
            status: status.into(),
            metadata: Some(Struct {
                fields: metadata.into_iter().map(member).collect(),
            }),
            created_at: messages.first().and_then(|first| first.created_at),
            ..v1::Conversation::default()
        }
    }

    /// Addresses of the shop and the customer. They are unique among the conversations of a seed, and almost unique
    /// among seeds.
    fn addresses(&self) -> (String, String) {
        let (first, last) = self.customer;
        let ours = Random::new(self.seed, u64::MAX).next() % PHONES;
        match self.channel {
            Channel::Sms | Channel::Mms => (
                format!("{PHONE_PREFIX}{ours:07}"),
                format!("{PHONE_PREFIX}{:07}", (ours + 1 + self.number) % PHONES),
            ),
            Channel::Email => (
                "support@harborpine.example".to_owned(),
                format!("{first}.{last}.{}.{}@mail.example", self.seed, self.number).to_lowercase(),
            ),
            Channel::Chat | Channel::Unspecified => (String::new(), String::new()),
        }
    }

    fn message(&mut self, role: Role, of: &[String]) -> v1::Message {
        let text = self.random.pick_text(of);
        let body = self.filled(text);
        let written = self.clock;
        self.pass_time(role);
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let mut message = v1::Message {
            created_at: at(written),
            body,
            ..v1::Message::default()
        };
        if self.channel == Channel::Chat {
            message.role = role.into();
            if role == Role::Assistant {
                message.tokens_used = Some(self.random.within(20..900));
                message.latency_ms = Some(self.random.within(300..4_000));
            }
            return message;
        }
        if self.channel == Channel::Email {
            message.subject.clone_from(&self.title);
        }
        if role == Role::User {
            message.direction = Direction::Inbound.into();
            message.status = MessageStatus::Received.into();
            return message;
        }
        message.direction = Direction::Outbound.into();
        "simulator".clone_into(&mut message.provider);
        message.sent_at = at(written + 1);
        let chance = self.random.within(0..100);
        if chance < 95 {
            message.status = MessageStatus::Delivered.into();
            message.delivered_at = at(written + 3);
        }
        if chance < 70 {
            message.status = MessageStatus::Read.into();
            message.read_at = at(written + 15);
        }
        if chance >= 95 {
            let status = if chance < 98 {
                MessageStatus::Undelivered
            } else {
                MessageStatus::Failed
            };
            message.status = status.into();
            message.error = Some(v1::MessageError {
                code: "UNREACHABLE".to_owned(),
                message: "the recipient could not be reached".to_owned(),
                provider_code: String::new(),
            });
        }
        message
    }

    /// Advances the time to the next message: a chat is fast, email is slow. No message is later than the end.
    fn pass_time(&mut self, role: Role) {
        let pause = match (self.channel, role) {
            (Channel::Chat, Role::User) => 2..8,
            (Channel::Chat, _) => 20..3 * MINUTE,
            (Channel::Email, _) => 30 * MINUTE..9 * HOUR,
            (_, _) => MINUTE..40 * MINUTE,
        };
        self.clock = (self.clock + self.random.within(pause)).min(self.until - 1);
    }

    fn filled(&mut self, text: &str) -> String {
        let amount = format!("{}.{:02} EUR", self.cents / 100, self.cents % 100);
        let agent: String = self
            .agent
            .chars()
            .take(1)
            .map(|c| c.to_ascii_uppercase())
            .chain(self.agent.chars().skip(1))
            .collect();
        text.replace("{order}", &format!("HP-{}", self.order))
            .replace("{name}", self.customer.0)
            .replace("{agent}", &agent)
            .replace("{city}", self.city)
            .replace("{product}", self.product)
            .replace("{amount}", &amount)
            .replace("{day}", self.random.pick_text(&self.texts.days))
    }
}
