//! What providers, webhooks and callers report about a message that left.

use super::MessageStatus;
use crate::Timestamp;
use crate::text_enum::text_enum;

text_enum! {
    /// What a report says. The order of declaration is the order of merging: of two reports the later one here wins.
    ///
    /// `Delivered` stands above the negative ones, since parts of one text and late receipts of carriers come in any order, and
    /// what has arrived has arrived.
    pub enum ReportStatus {
        /// The provider has it.
        Sent = "sent",
        /// The provider did not take it, or we gave up.
        Failed = "failed",
        /// The provider could not deliver it.
        Undelivered = "undelivered",
        /// It arrived.
        Delivered = "delivered",
        /// It was read.
        Read = "read",
    }
}

impl ReportStatus {
    /// Whether it says that the message did not get through.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        match self {
            Self::Failed | Self::Undelivered => true,
            Self::Sent | Self::Delivered | Self::Read => false,
        }
    }

    /// Whether it says that the message reached the person, by whichever attempt.
    #[must_use]
    pub const fn is_arrival(self) -> bool {
        match self {
            Self::Delivered | Self::Read => true,
            Self::Sent | Self::Failed | Self::Undelivered => false,
        }
    }

    /// The report that leads to this state; `None` for a state that no report leads to.
    #[must_use]
    pub const fn from_status(status: MessageStatus) -> Option<Self> {
        match status {
            MessageStatus::Sent => Some(Self::Sent),
            MessageStatus::Failed => Some(Self::Failed),
            MessageStatus::Undelivered => Some(Self::Undelivered),
            MessageStatus::Delivered => Some(Self::Delivered),
            MessageStatus::Read => Some(Self::Read),
            MessageStatus::Scheduled
            | MessageStatus::Pending
            | MessageStatus::Sending
            | MessageStatus::Uncertain
            | MessageStatus::Expired
            | MessageStatus::Canceled
            | MessageStatus::Received => None,
        }
    }
}

impl From<ReportStatus> for MessageStatus {
    fn from(report: ReportStatus) -> Self {
        match report {
            ReportStatus::Sent => Self::Sent,
            ReportStatus::Failed => Self::Failed,
            ReportStatus::Undelivered => Self::Undelivered,
            ReportStatus::Delivered => Self::Delivered,
            ReportStatus::Read => Self::Read,
        }
    }
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it says.
    pub status: ReportStatus,
    /// Which attempt it is about; `None` is the latest. Whoever knows the provider's id of the attempt should resolve it, since
    /// a receipt of a dead attempt must not count for its successor.
    pub attempt: Option<i32>,
    /// What went wrong, if it says so.
    pub error: Option<ReportedError>,
    /// When it happened, by the reporter's clock.
    pub occurred_at: Timestamp,
}

/// What went wrong, in the reporter's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedError {
    /// Our word for it.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// The provider's code; may be empty.
    pub provider_code: String,
}

#[cfg(test)]
mod tests {
    use super::ReportStatus::{Delivered, Failed, Read, Sent, Undelivered};
    use super::*;

    #[test]
    fn the_order_of_merging_is_that_of_the_contract() {
        assert_eq!(
            ReportStatus::ALL,
            [Sent, Failed, Undelivered, Delivered, Read]
        );
        assert!(ReportStatus::ALL.is_sorted());
    }

    #[test]
    fn a_report_and_its_state_name_each_other() {
        for &report in ReportStatus::ALL {
            let status = MessageStatus::from(report);
            assert_eq!(ReportStatus::from_status(status), Some(report));
            assert_eq!(status.as_str(), report.as_str());
        }
        let reported = MessageStatus::ALL
            .iter()
            .filter_map(|&s| ReportStatus::from_status(s));
        assert_eq!(reported.count(), ReportStatus::ALL.len());
    }

    #[test]
    fn no_report_is_both_negative_and_an_arrival() {
        let negative: Vec<_> = ReportStatus::ALL
            .iter()
            .filter(|r| r.is_negative())
            .collect();
        let arrival: Vec<_> = ReportStatus::ALL
            .iter()
            .filter(|r| r.is_arrival())
            .collect();
        assert_eq!(negative, [&Failed, &Undelivered]);
        assert_eq!(arrival, [&Delivered, &Read]);
    }
}
