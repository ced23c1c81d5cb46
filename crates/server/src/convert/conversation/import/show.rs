//! Conversion of the result of an import.

use parlance_app::conversations::import::{Imported, RefusedPart};
use parlance_proto::v1;

/// Length limit of a description, in bytes: a thousand of them must fit in a reply.
const MAX_DESCRIPTION: usize = 1_024;

/// Converts the result of an import.
pub(crate) fn imported_to_proto(imported: Imported) -> v1::ImportConversationsResponse {
    let Imported {
        conversations,
        messages,
        skipped,
        errors,
        refused,
    } = imported;
    v1::ImportConversationsResponse {
        imported_conversations: conversations,
        imported_messages: messages,
        skipped,
        errors: errors.into_iter().map(error_to_proto).collect(),
        error_count: refused,
    }
}

fn error_to_proto(refused: RefusedPart) -> v1::ImportError {
    let RefusedPart {
        index,
        external_id,
        error,
    } = refused;
    let mut description = error.message.clone();
    description.truncate(description.floor_char_boundary(MAX_DESCRIPTION));
    v1::ImportError {
        index,
        reason: error.reason.as_str().to_owned(),
        description,
        // An `external_id` that is too long may be the reason for the error.
        external_id: external_id.chars().take(255).collect(),
    }
}
