//! Conversion between the enums of the contract and of the domain. One list of names serves both directions, and a value
//! that is added on either side breaks the build.

use parlance_domain::{
    Channel, ConversationStatus, DeliveryPolicy, Direction, EventType, MessageStatus, Role,
    SenderStatus,
};
use parlance_proto::v1;

use super::fields::Violations;

/// Defines a function that reads an enum. It returns `None` for an unset value, and for a number that the contract does
/// not define, which is recorded.
macro_rules! reads {
    ($(#[$meta:meta])* $read:ident, $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        pub(super) fn $read(violations: &mut Violations, field: impl Into<String>, number: i32) -> Option<$name> {
            match v1::$name::try_from(number) {
                Ok(v1::$name::Unspecified) => None,
                $(Ok(v1::$name::$variant) => Some($name::$variant),)+
                Err(_) => {
                    violations.push(field, "not a value of this enum; use one that the API defines");
                    None
                }
            }
        }
    };
}

/// Defines a function that converts an enum to its number in the contract.
macro_rules! shows {
    ($(#[$meta:meta])* $show:ident, $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        pub(super) fn $show(value: $name) -> i32 {
            match value { $($name::$variant => v1::$name::$variant,)+ }.into()
        }
    };
}

/// Defines both functions.
macro_rules! both_directions {
    ($read:ident, $show:ident, $name:ident { $($variant:ident),+ $(,)? }) => {
        reads!($read, $name { $($variant),+ });
        shows!($show, $name { $($variant),+ });
    };
}

both_directions!(
    channel,
    channel_to_proto,
    Channel {
        Sms,
        Mms,
        Email,
        Chat
    }
);
both_directions!(
    role,
    role_to_proto,
    Role {
        User,
        Assistant,
        System
    }
);
both_directions!(
    conversation_status,
    conversation_status_to_proto,
    ConversationStatus {
        Active,
        Archived,
        Closed
    }
);
both_directions!(
    sender_status,
    sender_status_to_proto,
    SenderStatus { Active, Paused }
);
both_directions!(
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
both_directions!(
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
both_directions!(
    direction,
    direction_to_proto,
    Direction { Inbound, Outbound }
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::{accepted, violated_fields};

    /// Checks that every variant reads back, that 0 is unset, and that an unknown number is a violation.
    macro_rules! read_back {
        ($($read:ident, $show:ident, $name:ident;)+) => {$({
            for &variant in $name::ALL {
                assert_eq!(accepted(|violations| $read(violations, "f", $show(variant))), Some(variant));
            }
            assert_eq!(accepted(|violations| $read(violations, "f", 0)), None);
            for number in [-1, i32::MAX, i32::try_from($name::ALL.len()).unwrap() + 1] {
                assert_eq!(violated_fields(|violations| _ = $read(violations, "f", number)), ["f"]);
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
