//! States of a message.

use crate::text_enum::text_enum;

text_enum! {
    /// Delivery status of a message.
    pub enum MessageStatus {
        /// Waits for its send time.
        Scheduled = "scheduled",
        /// Waits for its hand-over.
        Pending = "pending",
        /// Is being handed over, or waits for another attempt.
        Sending = "sending",
        /// Was handed over, but no response came.
        Uncertain = "uncertain",
        /// The provider accepted it.
        Sent = "sent",
        /// Delivered.
        Delivered = "delivered",
        /// Read.
        Read = "read",
        /// The provider could not deliver it.
        Undelivered = "undelivered",
        /// The provider refused it, or delivery was given up.
        Failed = "failed",
        /// Expired before it was handed over.
        Expired = "expired",
        /// Canceled before it was handed over.
        Canceled = "canceled",
        /// Inbound message.
        Received = "received",
    }
}
