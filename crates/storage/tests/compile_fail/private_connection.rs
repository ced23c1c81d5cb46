//! Nothing is written past the transaction's own methods.

use parlance_storage::Tx;

fn curious(tx: &mut Tx) {
    let _ = &mut tx.lease;
}

fn main() {}
