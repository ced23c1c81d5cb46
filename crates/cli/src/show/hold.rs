//! Output of `hold` and `release`.

use parlance_proto::v1::{HoldDeliveryResponse, ReleaseHoldResponse};

use super::table::{Cell, Paint, Table};

pub(crate) fn held(all: &[HoldDeliveryResponse]) -> Table {
    numbers("held", all.iter().map(|response| response.held))
}

pub(crate) fn released(all: &[ReleaseHoldResponse]) -> Table {
    numbers("released", all.iter().map(|response| response.released))
}

fn numbers(name: &str, numbers: impl Iterator<Item = i64>) -> Table {
    let mut table = Table::default();
    for number in numbers {
        table.row([
            Cell::new(name).paint(Paint::Faint),
            Cell::new(number.to_string()),
        ]);
    }
    table
}
