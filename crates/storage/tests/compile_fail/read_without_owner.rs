//! No read takes an id without an owner.

use parlance_domain::MessageId;
use parlance_storage::Database;

async fn careless(db: &Database, id: MessageId) {
    let _ = db.message(id).await;
}

fn main() {}
