//! A committed transaction accepts no writes.

use std::sync::Arc;

use parlance_domain::MessageId;
use parlance_storage::{Sink, Tx};

async fn late<S: Sink>(mut tx: Tx, sink: &Arc<S>, id: MessageId) {
    let _ = tx.commit(sink).await;
    let _ = tx.message(id).await;
}

fn main() {}
