//! Watching: the change feed as a stream.
//!
//! One tail per instance reads the feed, only while somebody watches, and hands every event to the watchers whom it concerns.
//! A watcher that resumes first reads what it missed from the database, page by page at its own pace, then joins the tail:
//! what lies at or before the place where it joined comes from the database, what lies after it from the tail. So it misses
//! nothing and repeats nothing.
//!
//! Events that wait for watchers share one budget of memory. Where it is used up, the fullest queue is emptied: its watcher reads
//! the past once more, or is ended as too slow and resumes from its cursor.

mod cursor;
pub(crate) mod hub;
mod queue;
mod watch;

pub use hub::FeedStatus;
pub use watch::{Watch, Watched, Watcher};
