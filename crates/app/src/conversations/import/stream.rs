//! Parts as they come: while one batch is written, the next is gathered, and no more than that is held.

use std::pin::pin;

use futures_util::future::{Fuse, FutureExt as _};
use futures_util::{Stream, StreamExt as _};
use parlance_domain::Owner;

use super::batch::{Batch, Places};
use super::{Brought, Imported};
use crate::App;
use crate::error::Error;

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
        parts: impl Stream<Item = Result<Brought, E>> + Send,
    ) -> Result<Imported, Ended<E>> {
        let mut parts = pin!(parts.fuse());
        let (mut imported, mut places) = (Imported::default(), Places::default());
        let mut gathered = Batch::default();
        let mut writing = pin!(Fuse::terminated());
        let mut idle = true;
        loop {
            if idle && !gathered.is_empty() {
                let batch = std::mem::take(&mut gathered);
                writing.set(self.import_batch(owner, batch).fuse());
                idle = false;
            }
            tokio::select! {
                written = &mut writing, if !idle => {
                    imported.add(written.map_err(Ended::Failed)?);
                    idle = true;
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
}
