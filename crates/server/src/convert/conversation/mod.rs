//! Requests and replies of `ConversationService`.

mod create;
mod import;
mod read;
mod show;
mod update;

pub(crate) use create::create;
pub(crate) use import::{import_part, imported_to_proto};
pub(crate) use read::{delete, get, list, mark_as_read, mark_as_unread};
pub(crate) use show::{encode, encode_list, list_to_proto, to_proto};
pub(crate) use update::update;

use parlance_domain::{Address, AddressError, Channel};

/// Parses an address of either side.
type Reader = fn(Channel, &str) -> Result<Address, AddressError>;
