//! What happens to an edit of a message at a point of its way: its process dies there, or it takes its time.
//!
//! Sends are spared: they are fenced while their statements still run, so for them a point of the fence says nothing of the row.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use parlance_cache::{Key, Kind, Token};

/// Where a write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Its row is locked and changed, and nothing is fenced.
    Locked,
    /// And its keys are fenced.
    Fenced,
    /// It is committed, and its keys are not released.
    Committed,
    /// They are, at this moment.
    Released,
    /// And the others have had some time to see it; the client has not been told.
    Unacknowledged,
}

/// How long that time is.
const SOME_TIME: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// The process is gone at once when so many have come there.
    Dies(u32),
    /// Each stays for so long.
    Lingers(Duration),
}

/// What happens, if anything does.
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

    /// `committed:7`, the seventh dies there; `fenced+400`, each stays there for 400 ms.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (point, what) = match (text.split_once(':'), text.split_once('+')) {
            (Some((point, nth)), None) => (point, What::Dies(nth.parse().ok()?)),
            (None, Some((point, ms))) => {
                let ms = Duration::from_millis(ms.parse().ok()?);
                (point, What::Lingers(ms))
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
        self.edits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write of these keys begins.
    pub(crate) fn begins<T>(&self, keys: &[(Key, T)], token: Token) {
        if keys.iter().any(|(key, _)| key.kind() == Kind::Message) {
            self.edits().insert(token);
        }
    }

    /// It has come so far.
    pub(crate) async fn at(&self, point: Point, token: Token) {
        let Some((at, what)) = self.at else {
            return;
        };
        if point != at || !self.edits().contains(&token) {
            return;
        }
        match what {
            What::Lingers(time) => tokio::time::sleep(time).await,
            What::Dies(nth) if self.passed.fetch_add(1, Ordering::SeqCst) + 1 == nth => {
                if point == Point::Unacknowledged {
                    tokio::time::sleep(SOME_TIME).await;
                }
                std::process::abort();
            }
            What::Dies(_) => {}
        }
    }

    /// It is over.
    pub(crate) fn ends(&self, token: Token) {
        self.edits().remove(&token);
    }
}
