//! What Parlance talks about: addresses, senders, conversations, messages and the rules by which they change.
//!
//! No async, no I/O, nothing of the other crates. Time and randomness come in as arguments. Metadata is an opaque JSON
//! text that the edge has checked.
//!
//! To add an entity: its id in [`id`], its struct in a module of its name, and, where it has states, one `apply` that
//! says for every pair of state and event whether it moves, is ignored or is illegal.

mod text_enum;

pub mod address;
pub mod attachment;
pub mod channel;
pub mod conversation;
pub mod event;
pub mod id;
pub mod json;
pub mod message;
pub mod owner;
pub mod search;
pub mod sender;
pub mod sms;
pub mod step;
pub mod time;
pub mod violation;

pub use address::{Address, AddressError};
pub use attachment::Attachment;
pub use channel::{Channel, Direction, Role};
pub use conversation::{Conversation, ConversationStatus};
pub use event::{Event, EventSubject, EventType};
pub use id::{AttachmentId, ConversationId, MessageId, SenderId};
pub use json::Json;
pub use message::{DeliveryPolicy, Message, MessageStatus};
pub use owner::Owner;
pub use sender::{Sender, SenderStatus};
pub use step::Step;
pub use time::Timestamp;
pub use violation::Violation;
