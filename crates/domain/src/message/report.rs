//! Reports about outbound messages by providers, webhooks and callers.

use super::MessageStatus;
use crate::Timestamp;
use crate::text::{clipped, fits, is_storable};
use crate::text_enum::text_enum;

/// Maximum characters of a provider's id of a message. It is indexed, and stays well below the size of an index page.
pub const MAX_PROVIDER_MESSAGE_ID_CHARS: usize = 255;
/// Maximum characters of an error's code and of the provider's code.
pub const MAX_ERROR_CODE_CHARS: usize = 64;
/// Maximum characters of an error's text.
pub const MAX_ERROR_MESSAGE_CHARS: usize = 1_024;

/// Whether a text can be a provider's id of a message.
#[must_use]
pub fn is_provider_message_id(text: &str) -> bool {
    !text.is_empty() && is_storable(text) && fits(text, MAX_PROVIDER_MESSAGE_ID_CHARS)
}

text_enum! {
    /// Status in a report. The order of declaration is the merge order: of two reports the one declared later wins.
    ///
    /// `Delivered` ranks above the negative ones, because reports about the parts of one text and late network receipts
    /// come in any order, and an arrival is final.
    pub enum ReportStatus {
        /// The provider accepted the message.
        Sent = "sent",
        /// The provider refused it, or delivery was given up.
        Failed = "failed",
        /// The provider could not deliver it.
        Undelivered = "undelivered",
        /// Delivered.
        Delivered = "delivered",
        /// Read.
        Read = "read",
    }
}

impl ReportStatus {
    /// Whether the message did not get through.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        match self {
            Self::Failed | Self::Undelivered => true,
            Self::Sent | Self::Delivered | Self::Read => false,
        }
    }

    /// Whether the message reached the person, by any attempt.
    #[must_use]
    pub const fn is_arrival(self) -> bool {
        match self {
            Self::Delivered | Self::Read => true,
            Self::Sent | Self::Failed | Self::Undelivered => false,
        }
    }

    /// Returns the report that leads to a state; `None` for a state that no report leads to.
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

/// Delivery report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Reported status.
    pub status: ReportStatus,
    /// Attempt that the report is about; `None` for the latest. A caller that knows the provider's id of the attempt
    /// must resolve it, because a receipt of an earlier attempt must not count for a later one.
    pub attempt: Option<i32>,
    /// Error, if the report has one.
    pub error: Option<ReportedError>,
    /// Time of the event by the reporter's clock.
    pub occurred_at: Timestamp,
}

/// Error in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedError {
    /// Error code of Parlance.
    pub code: String,
    /// Text for people.
    pub message: String,
    /// The provider's code; may be empty.
    pub provider_code: String,
}

impl ReportedError {
    /// Returns the part of the error that can be stored.
    #[must_use]
    pub fn clipped(&self) -> Self {
        let Self {
            code,
            message,
            provider_code,
        } = self;
        Self {
            code: clipped(code, MAX_ERROR_CODE_CHARS),
            message: clipped(message, MAX_ERROR_MESSAGE_CHARS),
            provider_code: clipped(provider_code, MAX_ERROR_CODE_CHARS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReportStatus::{Delivered, Failed, Read, Sent, Undelivered};
    use super::*;

    #[test]
    fn the_merge_order_is_that_of_the_contract() {
        assert_eq!(
            ReportStatus::ALL,
            [Sent, Failed, Undelivered, Delivered, Read]
        );
        assert!(ReportStatus::ALL.is_sorted());
    }

    #[test]
    fn reports_and_states_convert_both_ways() {
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
    fn a_provider_id_is_a_short_text_without_nul() {
        let (longest, too_long) = ("ä".repeat(255), "ä".repeat(256));
        assert!(is_provider_message_id("SM1") && is_provider_message_id(&longest));
        for invalid in ["", "a\0b", too_long.as_str()] {
            assert!(!is_provider_message_id(invalid), "{invalid:?}");
        }
    }

    #[test]
    fn an_error_is_clipped_to_what_can_be_stored() {
        let error = ReportedError {
            code: "c".repeat(65),
            message: format!("\0{}", "m".repeat(1_025)),
            provider_code: "3\x000003".to_owned(),
        };
        let expected = ReportedError {
            code: "c".repeat(64),
            message: "m".repeat(1_024),
            provider_code: "30003".to_owned(),
        };
        assert_eq!(error.clipped(), expected);
        assert_eq!(expected.clipped(), expected);
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
