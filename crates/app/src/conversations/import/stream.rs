//! Reads a stream of parts: while some batches are written the next is collected, and no more than these are held.

use std::collections::HashSet;
use std::pin::pin;

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt as _};
use parlance_domain::Owner;

use super::batch::{Batch, Part, Positions};
use super::{Imported, IncomingPart};
use crate::App;
use crate::error::{Error, Result};

/// Batches that are written concurrently. Most of the work is the database's, and most of that is done in one of its
/// processes.
const WRITING: usize = 3;

/// Why an import was not completed. What was written before remains.
#[derive(Debug)]
pub enum ImportError<E> {
    /// The stream failed.
    Stream(E),
    /// A write failed.
    Write(Error),
}

impl App {
    /// Imports the conversations of a stream. A slow stream is written part by part, a fast one in batches.
    pub async fn import_conversations<E>(
        &self,
        owner: &Owner,
        parts: impl Stream<Item = std::result::Result<IncomingPart, E>> + Send,
    ) -> std::result::Result<Imported, ImportError<E>> {
        let most = if self.db.has_one_writer() { 1 } else { WRITING };
        let mut parts = pin!(parts.fuse());
        let (mut imported, mut positions) = (Imported::default(), Positions::default());
        let mut collected = Batch::default();
        let mut writing = FuturesUnordered::new();
        let mut in_use = KeysInUse::default();
        loop {
            if writing.len() < most && !collected.is_empty() && in_use.try_reserve(&collected) {
                let batch = std::mem::take(&mut collected);
                writing.push(self.keyed_batch(owner, batch));
            }
            tokio::select! {
                Some((keys, written)) = writing.next() => {
                    imported.add(written.map_err(ImportError::Write)?);
                    in_use.release(keys);
                }
                part = parts.next(), if !collected.is_full() && !parts.is_done() => match part {
                    Some(Ok(incoming)) => {
                        if let Some(refused) = positions.add(&mut collected, incoming) {
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

    /// Writes a batch; returns its keys with the result.
    async fn keyed_batch(&self, owner: &Owner, batch: Batch) -> (Vec<String>, Result<Imported>) {
        let keys = batch.parts.iter().flat_map(Part::keys).collect();
        (keys, self.import_batch(owner, batch).await)
    }
}

/// Keys of the batches that are being written: a part must not be written before an earlier part of the same
/// conversation.
#[derive(Default)]
struct KeysInUse(HashSet<String>);

impl KeysInUse {
    /// Reserves the keys of a batch; `false` if one of them is in use.
    fn try_reserve(&mut self, batch: &Batch) -> bool {
        let keys = || batch.parts.iter().flat_map(Part::keys);
        if keys().any(|key| self.0.contains(&key)) {
            return false;
        }
        self.0.extend(keys());
        true
    }

    fn release(&mut self, keys: Vec<String>) {
        for key in keys {
            self.0.remove(&key);
        }
    }
}
