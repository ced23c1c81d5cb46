//! Domain of Parlance: addresses, senders, conversations, messages, and the rules by which they change.
//!
//! No async code, no I/O and no dependency on the other crates. Time and randomness are arguments. Metadata is an
//! opaque JSON text that is checked when a request arrives.
//!
//! To add an entity: declare its id in [`id`] and its struct in a module of its name. If it has states, add one `apply`
//! function that returns moved, ignored or illegal for every pair of state and event. What an event makes of a stored
//! message is decided in one place: [`Message::decide`].

mod text_enum;

pub mod address;
pub mod attachment;
pub mod channel;
pub mod conversation;
pub mod event;
pub mod event_type;
pub mod id;
pub mod json;
pub mod message;
pub mod owner;
pub mod search;
pub mod sender;
pub mod sms;
pub mod step;
pub mod text;
pub mod time;
pub mod violation;

pub use address::{Address, AddressError};
pub use attachment::Attachment;
pub use channel::{Channel, Direction, Role};
pub use conversation::{Conversation, ConversationStatus};
pub use event::{Event, EventSubject};
pub use event_type::EventType;
pub use id::{AttachmentId, ConversationId, MessageId, SenderId};
pub use json::Json;
pub use message::{DeliveryPolicy, Message, MessageStatus};
pub use owner::Owner;
pub use sender::{Sender, SenderStatus};
pub use step::Step;
pub use time::Timestamp;
pub use violation::Violation;
