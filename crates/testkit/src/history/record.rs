//! Recording of a history.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::{
    Change, Element, History, HistoryTime, Key, ListRead, ListWrite, Live, LiveCounts, Read, Span,
    Write,
};

/// Records the operations of many tasks.
#[derive(Debug, Clone)]
pub struct Recorder {
    start: Instant,
    history: Arc<Mutex<History>>,
    live: Arc<Live>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

impl Recorder {
    /// Starts an empty history.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            history: Arc::default(),
            live: Arc::default(),
        }
    }

    /// Creates a log for one task. Its entries are added to the history when it is dropped.
    pub fn log(&self) -> Log {
        Log {
            recorder: self.clone(),
            history: History::default(),
        }
    }

    /// Returns the counters so far: of rows only, and without reads that later writes will turn into races.
    pub fn so_far(&self) -> LiveCounts {
        self.live.counts()
    }

    /// Returns the history. Panics while a log is in use, because its entries would be missing.
    pub fn finish(self) -> History {
        let history = Arc::into_inner(self.history).expect("every log has been dropped");
        history.into_inner()
    }
}

/// Start time of an operation.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Begun(HistoryTime);

/// A write in progress. Its outcome is unknown unless it is acknowledged.
#[derive(Debug)]
#[must_use]
pub struct BegunWrite(usize);

/// A change of a list in progress.
#[derive(Debug)]
#[must_use]
pub struct BegunChange(usize);

/// Log of one task.
#[derive(Debug)]
pub struct Log {
    recorder: Recorder,
    history: History,
}

impl Log {
    fn now(&self) -> HistoryTime {
        self.recorder.start.elapsed()
    }

    /// Starts a read; call it before the request.
    pub fn begin_read(&self) -> Begun {
        Begun(self.now())
    }

    /// Records a read that returned this version.
    pub fn read(&mut self, begun: Begun, key: Key, version: u64) {
        let span = self.since(begun);
        self.recorder.live.read(key, span, version);
        self.history.reads.push(Read { key, span, version });
    }

    /// Records a read of a list, newest first, with the requested number of messages.
    pub fn read_list(&mut self, begun: Begun, key: Key, elements: Vec<Element>, limit: usize) {
        let span = self.since(begun);
        self.history.list_reads.push(ListRead {
            key,
            span,
            elements,
            limit,
        });
    }

    /// Starts a write; call it before the request. It counts from now on, even if this task is cancelled.
    pub fn begin_write(&mut self, key: Key) -> BegunWrite {
        let began = self.now();
        self.recorder.live.begin_write(key, began);
        self.history.writes.push(Write {
            key,
            began,
            acknowledged: None,
        });
        BegunWrite(self.history.writes.len() - 1)
    }

    /// Records the acknowledgement of a write that created this version.
    pub fn acknowledged(&mut self, write: &BegunWrite, version: u64) {
        let ended = self.now();
        let write = &mut self.history.writes[write.0];
        write.acknowledged = Some((ended, version));
        let span = Span {
            began: write.began,
            ended,
        };
        self.recorder.live.acknowledged(write.key, span, version);
    }

    /// Starts a change of a list; call it before the request.
    pub fn begin_change(&mut self, key: Key, change: Change) -> BegunChange {
        let began = self.now();
        self.history.list_writes.push(ListWrite {
            key,
            change,
            began,
            acknowledged: None,
        });
        BegunChange(self.history.list_writes.len() - 1)
    }

    /// Records the acknowledgement of a change, with the new state of the message.
    pub fn changed(&mut self, change: &BegunChange, element: Element) {
        let now = self.now();
        self.history.list_writes[change.0].acknowledged = Some((now, element));
    }

    fn since(&self, begun: Begun) -> Span {
        Span {
            began: begun.0,
            ended: self.now(),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let own = std::mem::take(&mut self.history);
        let mut all = self.recorder.history.lock();
        all.reads.extend(own.reads);
        all.writes.extend(own.writes);
        all.list_reads.extend(own.list_reads);
        all.list_writes.extend(own.list_writes);
    }
}
