//! A write cannot forget who must hear of it.

use parlance_storage::Tx;

async fn forgetful(tx: Tx) {
    let _ = tx.commit().await;
}

fn main() {}
