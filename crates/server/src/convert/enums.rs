//! The enums of the contract and those of the domain. One list of names serves both ways, and a value that is added on
//! either side breaks the build.

use parlance_domain::{
    Channel, ConversationStatus, DeliveryPolicy, Direction, EventType, MessageStatus, Role,
    SenderStatus,
};
use parlance_proto::v1;

use super::fields::Found;

/// Reads an enum: `None` if it is not set, or if it is a number that the contract does not know, which is noted.
macro_rules! reads {
    ($(#[$meta:meta])* $read:ident, $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        pub(super) fn $read(found: &mut Found, field: impl Into<String>, number: i32) -> Option<$name> {
            match v1::$name::try_from(number) {
                Ok(v1::$name::Unspecified) => None,
                $(Ok(v1::$name::$variant) => Some($name::$variant),)+
                Err(_) => {
                    found.push(field, "no such value; use one that the contract names");
                    None
                }
            }
        }
    };
}

/// Shows an enum.
macro_rules! shows {
    ($(#[$meta:meta])* $show:ident, $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        pub(super) fn $show(value: $name) -> i32 {
            match value { $($name::$variant => v1::$name::$variant,)+ }.into()
        }
    };
}

/// Both ways.
macro_rules! both_ways {
    ($read:ident, $show:ident, $name:ident { $($variant:ident),+ $(,)? }) => {
        reads!($read, $name { $($variant),+ });
        shows!($show, $name { $($variant),+ });
    };
}

both_ways!(
    channel,
    channel_to_proto,
    Channel {
        Sms,
        Mms,
        Email,
        Chat
    }
);
both_ways!(
    role,
    role_to_proto,
    Role {
        User,
        Assistant,
        System
    }
);
both_ways!(
    conversation_status,
    conversation_status_to_proto,
    ConversationStatus {
        Active,
        Archived,
        Closed
    }
);
both_ways!(
    sender_status,
    sender_status_to_proto,
    SenderStatus { Active, Paused }
);
both_ways!(
    message_status,
    message_status_to_proto,
    MessageStatus {
        Scheduled,
        Pending,
        Sending,
        Uncertain,
        Sent,
        Delivered,
        Read,
        Undelivered,
        Failed,
        Expired,
        Canceled,
        Received,
    }
);
both_ways!(
    event_type,
    event_type_to_proto,
    EventType {
        ConversationCreated,
        ConversationUpdated,
        ConversationDeleted,
        MessageCreated,
        MessageUpdated,
        MessageStatusChanged,
        MessageDeleted,
    }
);
reads!(
    policy,
    DeliveryPolicy {
        AtLeastOnce,
        AtMostOnce
    }
);
both_ways!(
    direction,
    direction_to_proto,
    Direction { Inbound, Outbound }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::{fields_of, seen};

    /// Checks that every variant reads back, that 0 is unset, and that the next number is told.
    macro_rules! read_back {
        ($($read:ident, $show:ident, $name:ident;)+) => {$({
            for &variant in $name::ALL {
                assert_eq!(seen(|found| $read(found, "f", $show(variant))), Some(variant));
            }
            assert_eq!(seen(|found| $read(found, "f", 0)), None);
            for number in [-1, i32::MAX, i32::try_from($name::ALL.len()).unwrap() + 1] {
                assert_eq!(fields_of(|found| _ = $read(found, "f", number)), ["f"]);
            }
        })+};
    }

    #[test]
    fn every_value_reads_back() {
        read_back! {
            channel, channel_to_proto, Channel;
            role, role_to_proto, Role;
            conversation_status, conversation_status_to_proto, ConversationStatus;
            sender_status, sender_status_to_proto, SenderStatus;
            message_status, message_status_to_proto, MessageStatus;
            direction, direction_to_proto, Direction;
            event_type, event_type_to_proto, EventType;
        }
    }
}
