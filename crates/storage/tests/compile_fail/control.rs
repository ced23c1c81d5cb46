//! The other programs without their errors.

use std::sync::Arc;

use parlance_domain::{MessageId, Owner};
use parlance_storage::{Database, Sink, Tx};

async fn careful<S: Sink>(db: &Database, mut tx: Tx, sink: &Arc<S>, owner: &Owner, id: MessageId) {
    let _ = db.message(owner, id).await;
    let _ = tx.message(id).await;
    let _ = tx.commit(sink).await;
}

fn main() {}
