//! From "pending" to "the provider has it": claim, hand over, write down what came of it.
//!
//! The cast: the job, a narrow row in the transaction of its message; the claimer, one loop per instance, which takes jobs
//! that are due, in batches, each for the length of a lease; the hands, as many tasks as there are messages under way, which
//! speak to providers and to nothing else; the scribe, which writes outcomes down, in batches. Several instances share the
//! work by passing over one another's locked rows.
//!
//! What holds whatever dies when: a claim counts the attempt up and is committed before the provider is called, so a worker
//! that comes after a crash knows that an attempt was begun; an outcome is written only by the worker whose attempt it is, so
//! one that wakes up after it lost its lease changes nothing. So no message is lost; one may be handed over twice if a worker
//! dies between the provider's yes and its own commit, and not even then with a provider that takes our id as its key, or
//! under `AT_MOST_ONCE`, which leaves such a message UNCERTAIN. And every attempt has its line in the story: whoever ends a job,
//! a worker or a report, tells of all that nobody has told of.

mod attempt_events;
mod cancel;
mod claimer;
mod conversation_queue;
mod hold;
mod observer;
mod outcome;
mod outcome_writer;
mod pace;
mod registry;
mod reports;
mod worker;

pub(crate) use attempt_events::tell_of_the_overtaken;
pub use cancel::CancelMessage;
pub use observer::{AttemptResult, DeliveryObserver, QueueStatus};
pub use pace::Pace;
pub use registry::ProviderRegistry;
