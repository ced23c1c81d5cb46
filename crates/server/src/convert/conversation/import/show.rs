//! What an import did.

use parlance_app::conversations::import::{Imported, RefusedPart};
use parlance_proto::v1;

/// The longest description, in bytes: a thousand of them are to fit a reply.
const DESCRIPTION: usize = 1_024;

/// Shows what an import did.
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
    description.truncate(description.floor_char_boundary(DESCRIPTION));
    v1::ImportError {
        index,
        reason: error.reason.as_str().to_owned(),
        description,
        // A name that is too long is what was refused.
        external_id: external_id.chars().take(255).collect(),
    }
}
