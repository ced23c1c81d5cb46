//! A fault at a point of an edit of a message: its process aborts there, or the edit is delayed.
//!
//! Sends are not affected: they are fenced while their statements still run, so the point of a fence does not determine
//! the state of the row.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use parlance_cache::{Key, Kind, Token};

/// A point that a write passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// The row is locked and changed; no key is fenced.
    Locked,
    /// The keys are fenced.
    Fenced,
    /// The transaction is committed; the keys are not released.
    Committed,
    /// The keys are just released.
    Released,
    /// The other instances have had some time to see the release; the client has no response yet.
    Unacknowledged,
}

/// That time.
const SOME_TIME: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The process aborts when so many edits have come to the point.
    Aborts(u32),
    /// Each edit is delayed by this time.
    Delays(Duration),
}

/// The fault, if there is one.
#[derive(Debug)]
pub(crate) struct Trouble {
    at: Option<(Point, What)>,
    passed: AtomicU32,
    edits: Mutex<HashSet<Token>>,
}

impl Trouble {
    pub(crate) fn none() -> Self {
        Self::new(None)
    }

    fn new(at: Option<(Point, What)>) -> Self {
        Self {
            at,
            passed: AtomicU32::new(0),
            edits: Mutex::default(),
        }
    }

    /// Parses `committed:7` (the process aborts at the seventh edit) or `fenced+400` (each edit is delayed by 400 ms).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (point, what) = match (text.split_once(':'), text.split_once('+')) {
            (Some((point, nth)), None) => (point, What::Aborts(nth.parse().ok()?)),
            (None, Some((point, ms))) => {
                let ms = Duration::from_millis(ms.parse().ok()?);
                (point, What::Delays(ms))
            }
            _ => return None,
        };
        let point = match point {
            "locked" => Point::Locked,
            "fenced" => Point::Fenced,
            "committed" => Point::Committed,
            "released" => Point::Released,
            "unacknowledged" => Point::Unacknowledged,
            _ => return None,
        };
        Some(Self::new(Some((point, what))))
    }

    fn edits(&self) -> MutexGuard<'_, HashSet<Token>> {
        self.edits.lock()
    }

    /// Notes that a write of these keys begins.
    pub(crate) fn begins<T>(&self, keys: &[(Key, T)], token: Token) {
        if keys.iter().any(|(key, _)| key.kind() == Kind::Message) {
            self.edits().insert(token);
        }
    }

    /// Applies the fault if the write is at its point.
    pub(crate) async fn at(&self, point: Point, token: Token) {
        let Some((at, what)) = self.at else {
            return;
        };
        if point != at || !self.edits().contains(&token) {
            return;
        }
        match what {
            What::Delays(time) => tokio::time::sleep(time).await,
            What::Aborts(nth) if self.passed.fetch_add(1, Ordering::SeqCst) + 1 == nth => {
                if point == Point::Unacknowledged {
                    tokio::time::sleep(SOME_TIME).await;
                }
                std::process::abort();
            }
            What::Aborts(_) => {}
        }
    }

    /// Notes that the write has ended.
    pub(crate) fn ends(&self, token: Token) {
        self.edits().remove(&token);
    }
}
