//! Parts as they come: while some batches are written, the next is gathered, and no more than these are held.

use std::collections::HashSet;
use std::pin::pin;

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt as _};
use parlance_domain::Owner;

use super::batch::{Batch, Part, Places};
use super::{Imported, IncomingPart};
use crate::App;
use crate::error::{Error, Result};

/// Batches that are written at once. Most of one is the database's work, and much of that of one of its processes.
const WRITING: usize = 3;

/// Why an import did not come to its end. What was written until then is there.
#[derive(Debug)]
pub enum ImportError<E> {
    /// The stream broke.
    Stream(E),
    /// A write failed.
    Write(Error),
}

impl App {
    /// Writes old conversations as they come. Whoever comes slowly is written at once; whoever comes fast, in batches.
    pub async fn import_conversations<E>(
        &self,
        owner: &Owner,
        parts: impl Stream<Item = std::result::Result<IncomingPart, E>> + Send,
    ) -> std::result::Result<Imported, ImportError<E>> {
        let most = if self.db.has_one_writer() { 1 } else { WRITING };
        let mut parts = pin!(parts.fuse());
        let (mut imported, mut places) = (Imported::default(), Places::default());
        let mut gathered = Batch::default();
        let mut writing = FuturesUnordered::new();
        let mut taken = Taken::default();
        loop {
            if writing.len() < most && !gathered.is_empty() && taken.take(&gathered) {
                let batch = std::mem::take(&mut gathered);
                writing.push(self.keyed_batch(owner, batch));
            }
            tokio::select! {
                Some((keys, written)) = writing.next() => {
                    imported.add(written.map_err(ImportError::Write)?);
                    taken.give_back(keys);
                }
                part = parts.next(), if !gathered.is_full() && !parts.is_done() => match part {
                    Some(Ok(brought)) => {
                        if let Some(refused) = places.add(&mut gathered, brought) {
                            imported.refuse(refused);
                        }
                    }
                    Some(Err(broken)) => return Err(ImportError::Stream(broken)),
                    None => {}
                },
                else => return Ok(imported),
            }
        }
    }

    /// Writes a batch, and says what it had.
    async fn keyed_batch(&self, owner: &Owner, batch: Batch) -> (Vec<String>, Result<Imported>) {
        let keys = batch.parts.iter().flat_map(Part::keys).collect();
        (keys, self.import_batch(owner, batch).await)
    }
}

/// What is being written: a part must not come before another of the same conversation is there.
#[derive(Default)]
struct Taken(HashSet<String>);

impl Taken {
    /// Unless something of it is being written.
    fn take(&mut self, batch: &Batch) -> bool {
        let keys = || batch.parts.iter().flat_map(Part::keys);
        if keys().any(|key| self.0.contains(&key)) {
            return false;
        }
        self.0.extend(keys());
        true
    }

    fn give_back(&mut self, keys: Vec<String>) {
        for key in keys {
            self.0.remove(&key);
        }
    }
}
