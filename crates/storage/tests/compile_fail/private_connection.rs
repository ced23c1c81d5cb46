//! Nothing is written except by the transaction's own methods.

use parlance_storage::Tx;

fn curious(tx: &mut Tx) {
    let _ = &mut tx.connection;
}

fn main() {}
