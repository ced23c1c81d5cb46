-- Complete schema: the installation, senders, conversations, messages, deliveries, attachments, idempotency keys, the change feed, the cache protocol,
-- counters, search and imports.
-- Counterpart of the Postgres migration of the same name. Enums are text with a CHECK; times are parameters, never defaults.

-- One row: this installation, and the identity of its database at the last start (docs/operations.md, "Restoring a backup").
CREATE TABLE installation (
    only integer PRIMARY KEY CHECK (only = 1),
    id blob NOT NULL,
    -- The identity of the database as recorded last; empty before the first start.
    database text NOT NULL,
    -- Number of reconciliation passes of the cache so far.
    reconciliations integer NOT NULL CHECK (reconciliations >= 0),
    -- Only deliveries of this generation are claimed. A hold begins the next one, and older deliveries wait
    -- (docs/adr/0019-holds.md),
    generation integer NOT NULL,
    -- except those of generations below this number, which a release has freed: they are moved to the present generation
    -- in batches.
    released integer NOT NULL CHECK (released <= generation)
);
INSERT INTO installation (only, id, database, reconciliations, generation, released) VALUES (1, randomblob(16), '', 0, 0, 0);

-- One row, written to check whether the database accepts writes again after it has refused one.
CREATE TABLE write_probe (
    only integer PRIMARY KEY CHECK (only = 1),
    filler blob NOT NULL
);
INSERT INTO write_probe (only, filler) VALUES (1, x'');

CREATE TABLE senders (
    id blob PRIMARY KEY,
    owner text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('sms', 'email')),
    address text NOT NULL,
    provider text NOT NULL,
    credentials text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'paused')),
    segments_per_second integer NOT NULL CHECK (segments_per_second >= 0),
    default_expiry integer CHECK (default_expiry > 0),
    reply_domain text NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    version integer NOT NULL,
    UNIQUE (channel, address)
);
CREATE INDEX senders_by_owner ON senders (owner, id);

CREATE TABLE conversations (
    id blob PRIMARY KEY,
    owner text NOT NULL,
    user_label text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('sms', 'email', 'chat')),
    participant_from text NOT NULL,
    participant_to text NOT NULL,
    title text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'archived', 'closed')),
    external_id text,
    last_sequence integer NOT NULL,
    read_sequence integer NOT NULL CHECK (read_sequence <= last_sequence),
    message_count integer NOT NULL CHECK (message_count >= 0),
    unread_count integer NOT NULL CHECK (unread_count >= 0),
    last_message_at integer,
    -- Time of the newest message, or of the creation if there is none: the order of lists.
    active_at integer NOT NULL,
    metadata text NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    version integer NOT NULL,
    edit_version integer NOT NULL,
    -- Set at the beginning of a deletion: the conversation is hidden at once, its messages are removed in batches, then the row.
    deleted_at integer
);
-- At most one conversation per pair of addresses is not closed.
CREATE UNIQUE INDEX conversations_pair ON conversations (owner, channel, participant_from, participant_to)
    WHERE status <> 'closed' AND channel <> 'chat' AND deleted_at IS NULL;
CREATE UNIQUE INDEX conversations_external ON conversations (owner, external_id)
    WHERE external_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX conversations_recent ON conversations (owner, active_at, id) WHERE deleted_at IS NULL;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;

-- Conversation lists: one index for each filter, or a few that are merged, so that the cost of a list depends neither on the
-- owner's other conversations nor on other owners.
-- The owner and all filters of a list form one key. With separate columns Postgres knows how common each value is in the whole
-- installation, but not for this owner: where nearly all conversations are closed, it expects to find the others easily among
-- all of the owner's, newest first, and reads a million of them. No other index has an order for such a key.
-- An owner has no space, and only the last part of a key may have one.
CREATE INDEX conversations_of_user ON conversations ((owner || ' ' || user_label), active_at, id)
    WHERE user_label <> '' AND deleted_at IS NULL;

-- By status and channel: a list of one status is merged from its channels, a list of one channel from its statuses.
CREATE INDEX conversations_of_kind ON conversations ((owner || ' ' || status || ' ' || channel), active_at, id)
    WHERE deleted_at IS NULL;
CREATE INDEX conversations_of_kind_and_user
    ON conversations ((owner || ' ' || status || ' ' || channel || ' ' || user_label), active_at, id)
    WHERE user_label <> '' AND deleted_at IS NULL;

CREATE INDEX conversations_unread ON conversations ((owner || ' unread'), active_at, id)
    WHERE unread_count > 0 AND deleted_at IS NULL;
CREATE INDEX conversations_unread_of_user ON conversations ((owner || ' unread ' || user_label), active_at, id)
    WHERE user_label <> '' AND unread_count > 0 AND deleted_at IS NULL;

-- By an address, theirs or ours. Their address has few conversations, of any user; ours may have all conversations of a user.
-- Both an address and a user may contain spaces, so these two are not one key.
CREATE INDEX conversations_theirs ON conversations ((owner || ' ' || participant_to), active_at, id)
    WHERE participant_to <> '' AND deleted_at IS NULL;
CREATE INDEX conversations_ours ON conversations ((owner || ' ' || participant_from), active_at, id)
    WHERE participant_from <> '' AND deleted_at IS NULL;
CREATE INDEX conversations_ours_of_user ON conversations ((owner || ' ours ' || user_label), participant_from, active_at, id)
    WHERE user_label <> '' AND participant_from <> '' AND deleted_at IS NULL;

CREATE TABLE messages (
    id blob PRIMARY KEY,
    owner text NOT NULL,
    conversation_id blob NOT NULL REFERENCES conversations (id),
    sequence integer NOT NULL CHECK (sequence > 0),
    channel text NOT NULL CHECK (channel IN ('sms', 'mms', 'email', 'chat')),
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    status text NOT NULL CHECK (status IN ('scheduled', 'pending', 'sending', 'uncertain', 'sent', 'delivered', 'read',
        'undelivered', 'failed', 'expired', 'canceled', 'received')),
    from_address text NOT NULL,
    to_address text NOT NULL,
    cc_addresses text NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    html_body text NOT NULL,
    attachments text NOT NULL,
    provider text,
    provider_message_id text,
    attempt integer NOT NULL CHECK (attempt >= 0),
    error text,
    segments integer NOT NULL,
    tokens_used integer,
    metadata text NOT NULL,
    -- JSON object of the fields that no statement filters, sorts, sums or updates: role, latency_ms, policy. One that has its
    -- default is left out.
    other_fields text NOT NULL,
    counts_unread integer NOT NULL,
    send_at integer,
    expires_at integer,
    sent_at integer,
    delivered_at integer,
    read_at integer,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    version integer NOT NULL,
    edit_version integer NOT NULL,
    UNIQUE (conversation_id, sequence)
);
CREATE UNIQUE INDEX messages_provider ON messages (owner, provider, provider_message_id)
    WHERE provider_message_id IS NOT NULL;
-- Messages that a provider has accepted and not reported on yet: few at any time.
CREATE INDEX messages_open ON messages (provider, id) WHERE status IN ('sent', 'uncertain');
CREATE INDEX messages_unread ON messages (conversation_id, sequence) WHERE counts_unread;

-- The delivery of an outbound message: a narrow row, so that a claim changes neither message, version, feed nor cache.
CREATE TABLE deliveries (
    message_id blob PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    owner text NOT NULL,
    conversation_id blob NOT NULL,
    sequence integer NOT NULL,
    sender_id blob NOT NULL REFERENCES senders (id),
    channel text NOT NULL CHECK (channel IN ('sms', 'mms', 'email')),
    provider text NOT NULL,
    -- scheduled: waits for its time; waiting: to be handed over, for the first time or again; claimed: being handed over, until
    -- due_at.
    state text NOT NULL CHECK (state IN ('scheduled', 'waiting', 'claimed')),
    -- Number of the last attempt; recorded before the provider is called.
    attempt integer NOT NULL CHECK (attempt >= 0),
    -- Whether an earlier message of its conversation and generation has not been handed over yet.
    blocked integer NOT NULL,
    -- The installation's generation when the delivery was inserted or released; only deliveries of the present one are claimed.
    generation integer NOT NULL,
    -- Earliest time of a claim; for a claimed delivery: the end of the worker's lease.
    due_at integer NOT NULL,
    expires_at integer,
    created_at integer NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (generation, due_at) WHERE NOT blocked;
CREATE INDEX deliveries_of_conversation ON deliveries (conversation_id, generation, sequence);
CREATE INDEX deliveries_of_sender ON deliveries (sender_id);

-- The events of a message: every attempt, receipt and refusal. Only appended to.
CREATE TABLE message_events (
    id integer PRIMARY KEY AUTOINCREMENT,
    owner text NOT NULL,
    message_id blob NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    time integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('attempt', 'report', 'canceled', 'expired')),
    attempt integer,
    provider text,
    provider_time integer,
    status text,
    detail text NOT NULL
);
CREATE INDEX message_events_of_message ON message_events (message_id, id);

-- An attachment, or an upload (message_id is null), which can be sent once, until expires_at.
CREATE TABLE attachments (
    id blob PRIMARY KEY,
    owner text NOT NULL,
    message_id blob REFERENCES messages (id) ON DELETE CASCADE,
    filename text NOT NULL,
    content_type text NOT NULL,
    size_bytes integer NOT NULL CHECK (size_bytes >= 0),
    url text,
    -- False while the upload is still being streamed.
    complete integer NOT NULL,
    created_at integer NOT NULL,
    expires_at integer
);
CREATE INDEX attachments_of_message ON attachments (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX attachments_expiring ON attachments (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE attachment_chunks (
    attachment_id blob NOT NULL REFERENCES attachments (id) ON DELETE CASCADE,
    position integer NOT NULL,
    data blob NOT NULL,
    PRIMARY KEY (attachment_id, position)
);

-- Tombstones of deleted inbound messages: a message that its provider delivers again must not come back. Kept for as long as
-- providers retry.
CREATE TABLE deleted_messages (
    owner text NOT NULL,
    provider text NOT NULL,
    provider_message_id text NOT NULL,
    deleted_at integer NOT NULL,
    PRIMARY KEY (owner, provider, provider_message_id)
);
CREATE INDEX deleted_messages_age ON deleted_messages (deleted_at);

-- Separate from the messages: a retry must not send a deleted message again.
CREATE TABLE idempotency_keys (
    owner text NOT NULL,
    rpc text NOT NULL,
    key text NOT NULL,
    request_hash blob NOT NULL,
    resource_id blob NOT NULL,
    created_at integer NOT NULL,
    PRIMARY KEY (owner, rpc, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Every change, written in the transaction of the change. There is one writer, so ids are in the order of commit and xid
-- is always 0. AUTOINCREMENT, so that a pruned id is not used again.
CREATE TABLE feed (
    id integer PRIMARY KEY AUTOINCREMENT,
    xid integer NOT NULL DEFAULT 0,
    owner text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('conversation_created', 'conversation_updated', 'conversation_deleted',
        'message_created', 'message_updated', 'message_status_changed', 'message_deleted')),
    conversation_id blob NOT NULL,
    message_id blob,
    user_label text NOT NULL,
    -- The row after the change; null once it is deleted.
    payload text,
    -- Size of the payload: readers limit their pages by it without reading the payload.
    bytes integer NOT NULL,
    time integer NOT NULL
);
-- Events that a deletion clears. An event is in one of the two or, once it is cleared, in neither: a write pays for one entry.
CREATE INDEX feed_of_message ON feed (message_id) WHERE message_id IS NOT NULL AND payload IS NOT NULL;
CREATE INDEX feed_of_conversation ON feed (conversation_id) WHERE message_id IS NULL AND payload IS NOT NULL;

-- One row: the epoch of the feed, and the position up to which it has been pruned.
CREATE TABLE feed_state (
    only integer PRIMARY KEY CHECK (only = 1),
    -- The time at which this feed began, in microseconds. Later epochs are greater, also in a file that was put back twice.
    epoch integer NOT NULL,
    pruned_xid integer NOT NULL,
    pruned_id integer NOT NULL,
    -- Events up to this id are of an earlier epoch: not delivered, and removed in batches. Null once they are gone.
    stale_id integer
);
INSERT INTO feed_state (only, epoch, pruned_xid, pruned_id)
    VALUES (1, CAST((julianday('now') - 2440587.5) * 86400000000 AS integer) + abs(random() % 1000), 0, 0);

-- Registrations of the instances, for the cache (docs/caching.md). The times are the database's own, unlike all others:
-- instances with different clocks must agree on them.
CREATE TABLE cache_instances (
    id blob PRIMARY KEY,
    -- Whether the instance caches values in its own memory, where other instances cannot change them.
    memory integer NOT NULL,
    alive_until integer NOT NULL,
    -- The instance serves nothing from its cache after this, unless it renews.
    serves_until integer NOT NULL
);

-- One row: the number in every cached value, and the Redis processes that store the values; none until they are recorded.
CREATE TABLE cache_epoch (
    only integer PRIMARY KEY CHECK (only = 1),
    -- Random at first, and increased by random steps: neither another installation nor an earlier copy of this database
    -- uses the same numbers.
    number integer NOT NULL CHECK (number >= 0),
    remote text NOT NULL,
    -- A constant: a file has no identity of its own.
    database text NOT NULL,
    recorded_at integer NOT NULL
);
INSERT INTO cache_epoch (only, number, remote, database, recorded_at) VALUES (1, random() & 4503599627370495, '', 'sqlite', 0);

-- Keys that a committed write could not fence or release: an instance releases them before it serves from the cache.
CREATE TABLE cache_pending (
    id integer PRIMARY KEY AUTOINCREMENT,
    cache_key text NOT NULL,
    token text NOT NULL,
    -- Whether its epoch has ended: the row is deleted without a release, once no instance serves from that epoch.
    retired integer NOT NULL
);
CREATE INDEX cache_pending_of_token ON cache_pending (token);
CREATE INDEX cache_pending_retired ON cache_pending (id) WHERE retired;
CREATE INDEX cache_pending_waiting ON cache_pending (id) WHERE NOT retired;

-- Counters of conversations and messages, exact at any time (docs/adr/0010-counters.md).

-- The difference that each write made, in its own transaction; folded into the totals soon after. Always read as a whole, so
-- there is no index, and rows are addressed by their physical location only.
CREATE TABLE stat_deltas (
    owner text NOT NULL,
    user_label text NOT NULL,
    -- A conversation, or a message by its direction.
    what text NOT NULL CHECK (what IN ('conversation', 'inbound', 'outbound')),
    channel text NOT NULL,
    status text NOT NULL,
    items integer NOT NULL,
    -- Number of conversations with unread messages, and number of these messages.
    unread_items integer NOT NULL,
    unread integer NOT NULL,
    tokens integer NOT NULL
);

-- Sums of the folded differences. An empty user_label is the whole owner.
CREATE TABLE stat_totals (
    owner text NOT NULL,
    user_label text NOT NULL,
    what text NOT NULL CHECK (what IN ('conversation', 'inbound', 'outbound')),
    channel text NOT NULL,
    status text NOT NULL,
    items integer NOT NULL,
    unread_items integer NOT NULL,
    unread integer NOT NULL,
    tokens integer NOT NULL,
    PRIMARY KEY (owner, user_label, what, channel, status)
);


-- Retention takes the oldest first. A message in progress has no entry: it stays, however old it is, and is not read.
CREATE INDEX messages_age ON messages (created_at, id)
    WHERE status NOT IN ('scheduled', 'pending', 'sending', 'uncertain');
CREATE INDEX conversations_empty ON conversations (active_at, id) WHERE message_count = 0 AND deleted_at IS NULL;

-- Search (docs/search.md). Filled only by the service, since its code defines what a word is (docs/adr/0011-search-terms.md).

-- The number that identifies a message in the index. It begins with the milliseconds of its time, since matches come in its order.
CREATE TABLE message_search (
    number integer PRIMARY KEY,
    message_id blob NOT NULL UNIQUE
);

-- Words, and one term for each of owner, user, conversation, channel and direction; without positions. No text is stored here.
-- The tokenizer has nothing left to do: terms are letters and digits in lower case, separated by blanks.
CREATE VIRTUAL TABLE message_terms USING fts5 (
    terms, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '='"
);

-- Covers every way of deleting a message.
CREATE TRIGGER message_search_forget AFTER DELETE ON messages BEGIN
    DELETE FROM message_terms WHERE rowid = (SELECT number FROM message_search WHERE message_id = OLD.id);
    DELETE FROM message_search WHERE message_id = OLD.id;
END;

-- For a search by a status in which few messages remain. OR, not IN: SQLite recognises the condition only in this form.
CREATE INDEX messages_resting ON messages (owner, status, created_at, id)
    WHERE status = 'scheduled' OR status = 'uncertain' OR status = 'undelivered' OR status = 'failed' OR status = 'expired'
        OR status = 'canceled';

-- Conversations with a changed title or user that is not yet indexed for all messages: those below the sequence are missing.
CREATE TABLE search_pending (
    conversation_id blob PRIMARY KEY,
    owner text NOT NULL,
    below integer NOT NULL
);

-- One row: edition and language of the index; empty until it is made.
CREATE TABLE search_state (
    "only" integer PRIMARY KEY CHECK ("only"),
    made_by text NOT NULL
);
INSERT INTO search_state ("only", made_by) VALUES (true, '');

-- Progress of imports (docs/importing.md).

-- Separate from the conversations: few have one, and only imports read it.
CREATE TABLE imports (
    conversation_id blob PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    owner text NOT NULL,
    -- Number of its first messages that have been imported, including later deleted ones, which do not come back.
    messages integer NOT NULL CHECK (messages >= 0)
);
