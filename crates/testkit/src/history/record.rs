//! Writing a history down while it happens.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{
    Change, Element, History, Key, ListRead, ListWrite, Live, LiveCounts, Moment, Read, Span, Write,
};

/// Writes down what many tasks do.
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
    /// An empty history begins now.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            history: Arc::default(),
            live: Arc::default(),
        }
    }

    /// A log for a task: it is the task's alone, and joins the others' when it is dropped.
    pub fn log(&self) -> Log {
        Log {
            recorder: self.clone(),
            history: History::default(),
        }
    }

    /// What can be said already: of rows, and without the reads that a write will make races of.
    pub fn so_far(&self) -> LiveCounts {
        self.live.tally()
    }

    /// What was written down. Panics while a log is still in use: it would be missing.
    pub fn finish(self) -> History {
        let history = Arc::into_inner(self.history).expect("every log has been dropped");
        history.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Something that was begun.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Begun(Moment);

/// A write that was begun; unless it is acknowledged, nobody knows what came of it.
#[derive(Debug)]
#[must_use]
pub struct BegunWrite(usize);

/// A change of a list that was begun.
#[derive(Debug)]
#[must_use]
pub struct BegunChange(usize);

/// What one task does.
#[derive(Debug)]
pub struct Log {
    recorder: Recorder,
    history: History,
}

impl Log {
    fn now(&self) -> Moment {
        self.recorder.start.elapsed()
    }

    /// Before a read is asked for.
    pub fn begin_read(&self) -> Begun {
        Begun(self.now())
    }

    /// A read has returned this version.
    pub fn read(&mut self, begun: Begun, key: Key, version: u64) {
        let span = self.since(begun);
        self.recorder.live.read(key, span, version);
        self.history.reads.push(Read { key, span, version });
    }

    /// A read has returned this list, newest first; it had asked for so many.
    pub fn read_list(&mut self, begun: Begun, key: Key, elements: Vec<Element>, limit: usize) {
        let span = self.since(begun);
        self.history.list_reads.push(ListRead {
            key,
            span,
            elements,
            limit,
        });
    }

    /// Before a write is asked for. It counts from now on, also when this task is cancelled.
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

    /// It was acknowledged, and made this version.
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

    /// Before a list is changed.
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

    /// It was acknowledged, and made this of the message.
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
        let mine = std::mem::take(&mut self.history);
        let all = self.recorder.history.lock();
        let mut all = all.unwrap_or_else(PoisonError::into_inner);
        all.reads.extend(mine.reads);
        all.writes.extend(mine.writes);
        all.list_reads.extend(mine.list_reads);
        all.list_writes.extend(mine.list_writes);
    }
}
