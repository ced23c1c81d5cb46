//! The simulator of the providers, named once.

pub(super) use parlance_providers::simulator::{
    network, sent_message, twilio, webhook_id, webhook_record,
};
