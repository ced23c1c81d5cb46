//! Parts as they come: while some batches are written, the next is gathered, and no more than these are held.

use std::collections::HashSet;
use std::pin::pin;

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt as _};
use parlance_domain::Owner;

use super::batch::{Batch, Part, Places};
use super::{Brought, Imported};
use crate::App;
use crate::error::{Error, Result};

/// Batches that are written at once. Most of one is the database's work, and much of that of one of its processes.
const WRITING: usize = 3;

/// Why an import did not come to its end. What was written until then is there.
#[derive(Debug)]
pub enum Ended<E> {
    /// The stream broke.
    Broken(E),
    /// A write failed.
    Failed(Error),
}

impl App {
    /// Writes old conversations as they come. Whoever comes slowly is written at once; whoever comes fast, in batches.
    pub async fn import_conversations<E>(
        &self,
        owner: &Owner,
        parts: impl Stream<Item = std::result::Result<Brought, E>> + Send,
    ) -> std::result::Result<Imported, Ended<E>> {
        let most = if self.db.has_one_writer() { 1 } else { WRITING };
        let mut parts = pin!(parts.fuse());
        let (mut imported, mut places) = (Imported::default(), Places::default());
        let mut gathered = Batch::default();
        let mut writing = FuturesUnordered::new();
        let mut names = Names::default();
        loop {
            if writing.len() < most && !gathered.is_empty() && names.take(&gathered) {
                let batch = std::mem::take(&mut gathered);
                writing.push(self.named_batch(owner, batch));
            }
            tokio::select! {
                Some((batch, written)) = writing.next() => {
                    imported.add(written.map_err(Ended::Failed)?);
                    names.give_back(batch);
                }
                part = parts.next(), if !gathered.is_full() && !parts.is_done() => match part {
                    Some(Ok(brought)) => {
                        if let Some(refused) = places.add(&mut gathered, brought) {
                            imported.refuse(refused);
                        }
                    }
                    Some(Err(broken)) => return Err(Ended::Broken(broken)),
                    None => {}
                },
                else => return Ok(imported),
            }
        }
    }

    /// Writes a batch, and says whose it was.
    async fn named_batch(&self, owner: &Owner, batch: Batch) -> (Vec<String>, Result<Imported>) {
        let names = batch.parts.iter().map(Part::external_id);
        let names = names.map(str::to_owned).collect();
        (names, self.import_batch(owner, batch).await)
    }
}

/// The conversations that are being written: a part must not come before another of the same conversation is there.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    /// Unless one of them is being written.
    fn take(&mut self, batch: &Batch) -> bool {
        let names = || batch.parts.iter().map(Part::external_id);
        if names().any(|name| self.0.contains(name)) {
            return false;
        }
        self.0.extend(names().map(str::to_owned));
        true
    }

    fn give_back(&mut self, names: Vec<String>) {
        for name in names {
            self.0.remove(&name);
        }
    }
}
