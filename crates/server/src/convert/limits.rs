//! Length limits of the texts of a request, in characters, that the configuration does not define. Names
//! that are indexed stay well below the size of an index page.

use parlance_domain::message::{
    MAX_ERROR_CODE_CHARS, MAX_ERROR_MESSAGE_CHARS, MAX_PROVIDER_MESSAGE_ID_CHARS,
};

/// `request_id`, as the contract promises.
pub(super) const REQUEST_ID: usize = 255;
/// `user`.
pub(super) const USER: usize = 255;
/// `external_id`.
pub(super) const EXTERNAL_ID: usize = 255;
/// `title`: the limit of an email subject, which is often used as a title.
pub(super) const TITLE: usize = 998;
/// `provider`.
pub(super) const PROVIDER: usize = 64;
/// `provider_message_id`.
pub(super) const PROVIDER_MESSAGE_ID: usize = MAX_PROVIDER_MESSAGE_ID_CHARS;
/// `credentials`: the name of an entry in the configuration.
pub(super) const CREDENTIALS: usize = 255;
/// `messaging_service`: longer than any id of a provider.
pub(super) const MESSAGING_SERVICE: usize = 64;
/// `error.code` and `error.provider_code`.
pub(super) const ERROR_CODE: usize = MAX_ERROR_CODE_CHARS;
/// `error.message`.
pub(super) const ERROR_MESSAGE: usize = MAX_ERROR_MESSAGE_CHARS;
/// `etag`: much longer than any that the service issues.
pub(super) const ETAG: usize = 64;
/// `page_token`: much longer than any that the service issues.
pub(super) const PAGE_TOKEN: usize = 1_024;
/// `cursor`: much longer than any that the service issues.
pub(super) const CURSOR: usize = 255;

/// `query` of a search, as the contract promises.
pub(super) const QUERY: usize = 10_000;
/// `messages` of one request of an import, as the contract promises: they are written in one transaction.
pub(super) const IMPORT_MESSAGES: usize = 1_000;
/// `ids` of a batch, as the contract promises.
pub(super) const BATCH: usize = 100;
/// Nesting limit of metadata, including the object itself. One level takes three levels of protobuf, and protobuf readers
/// stop at 100: a deeper object could be stored, but no client could decode the reply, which adds further levels.
pub(super) const METADATA_DEPTH: usize = 30;
/// `keys` of an invalidation, as the contract promises.
pub(super) const CACHE_KEYS: usize = 1_000;
/// `pattern` of an invalidation: the longest key has 58 characters.
pub(super) const CACHE_PATTERN: usize = 128;
/// `conversation_ids` and `hottest` of a `WarmCache` request, as the contract promises.
pub(super) const WARM: usize = 1_000;
