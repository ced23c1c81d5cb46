//! The states of a message.

use crate::text_enum::text_enum;

text_enum! {
    /// How far a message has come.
    pub enum MessageStatus {
        /// Waits for its time.
        Scheduled = "scheduled",
        /// Waits to be handed over.
        Pending = "pending",
        /// Is being handed over, or waits to be handed over again.
        Sending = "sending",
        /// Was handed over and the answer was lost.
        Uncertain = "uncertain",
        /// The provider has it.
        Sent = "sent",
        /// It arrived.
        Delivered = "delivered",
        /// It was read.
        Read = "read",
        /// The provider could not deliver it.
        Undelivered = "undelivered",
        /// The provider did not take it, or we gave up.
        Failed = "failed",
        /// Its time passed before it could leave.
        Expired = "expired",
        /// It was called back before it left.
        Canceled = "canceled",
        /// It came from the other side.
        Received = "received",
    }
}
