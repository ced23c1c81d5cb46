//! A write cannot be committed without its commit hook.

use parlance_storage::Tx;

async fn forgetful(tx: Tx) {
    let _ = tx.commit().await;
}

fn main() {}
