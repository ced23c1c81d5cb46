//! `EventService`.

mod watch_events;
