//! How long the texts of a request may be, in characters, where neither the configuration nor the domain says it. Names that
//! stand in an index stay well below what a page of an index holds.

/// `request_id`, as the contract promises.
pub(super) const REQUEST_ID: usize = 255;
/// `user`.
pub(super) const USER: usize = 255;
/// `external_id`.
pub(super) const EXTERNAL_ID: usize = 255;
/// `title`: that of a mail's subject, which often becomes one.
pub(super) const TITLE: usize = 998;
/// `provider`.
pub(super) const PROVIDER: usize = 64;
/// `provider_message_id`.
pub(super) const PROVIDER_MESSAGE_ID: usize = 255;
/// `credentials`: a name in the configuration.
pub(super) const CREDENTIALS: usize = 255;
/// `error.code` and `error.provider_code`.
pub(super) const ERROR_CODE: usize = 64;
/// `error.message`.
pub(super) const ERROR_MESSAGE: usize = 1_024;
/// `etag`: far more than ours have.
pub(super) const ETAG: usize = 64;
/// `page_token`: far more than ours have.
pub(super) const PAGE_TOKEN: usize = 1_024;
/// `cursor`: far more than ours have.
pub(super) const CURSOR: usize = 255;

/// `cc_addresses`: how many. Each is another recipient, and all of them travel in every list that shows the message.
pub(super) const CC_ADDRESSES: usize = 100;
/// `query` of a search, as the contract promises.
pub(super) const QUERY: usize = 10_000;
/// `messages` of one request of an import, as the contract promises: they are written together.
pub(super) const IMPORT_MESSAGES: usize = 1_000;
/// `ids` of a batch, as the contract promises.
pub(super) const BATCH: usize = 100;
/// How deep metadata may nest, the object itself counted. A level takes three levels of protobuf, and readers stop at 100 of
/// those: a deeper object could be stored and then not be read by anybody, since replies wrap it once more.
pub(super) const METADATA_DEPTH: usize = 30;
/// `keys` of an invalidation, as the contract promises.
pub(super) const CACHE_KEYS: usize = 1_000;
/// `pattern` of an invalidation: the longest name has 58.
pub(super) const CACHE_PATTERN: usize = 128;
/// `conversation_ids` and `hottest` of a warming, as the contract promises.
pub(super) const WARM: usize = 1_000;
