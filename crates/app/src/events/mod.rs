//! The change feed as a stream for watchers.
//!
//! One tail per instance reads the feed while there are watchers, and distributes every event to the watchers that
//! want it. A watcher that resumes first reads what it missed from the database, page by page at its own pace, then
//! joins the tail. Events at or before the position where it joined come from the database, later ones from the tail,
//! so it misses none and repeats none.
//!
//! Events that wait for watchers share one memory budget. When it is used up, the fullest queue is emptied: its
//! watcher reads the past again, or is ended as too slow and resumes from its cursor.

mod watch;

pub use crate::feed::hub::FeedStatus;
pub use watch::{Watch, Watched, Watcher};
