-- Complete schema: the installation, senders, conversations, messages, deliveries, attachments, idempotency keys, the change feed, the cache protocol,
-- counters, search and imports.
-- Counterpart of the SQLite migration of the same name. Enums are text with a CHECK; times are parameters, never defaults.

-- One row: this installation, and the identity of its database at the last start (docs/operations.md, "Restoring a backup").
CREATE TABLE installation (
    "only" boolean PRIMARY KEY CHECK ("only"),
    id uuid NOT NULL,
    -- The identity of the database as recorded last; empty before the first start.
    database text NOT NULL,
    -- Number of reconciliation passes of the cache so far.
    reconciliations bigint NOT NULL CHECK (reconciliations >= 0),
    -- Only deliveries of this generation are claimed. A hold begins the next one, and older deliveries wait
    -- (docs/adr/0019-holds.md),
    generation bigint NOT NULL,
    -- except those of generations below this number, which a release has freed: they are moved to the present generation
    -- in batches.
    released bigint NOT NULL CHECK (released <= generation)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
INSERT INTO installation ("only", id, database, reconciliations, generation, released)
    VALUES (true, gen_random_uuid(), '', 0, 0, 0);

-- One row, written to check whether the database accepts writes again after it has refused one.
CREATE TABLE write_probe (
    "only" boolean PRIMARY KEY CHECK ("only"),
    filler bytea NOT NULL
-- Never vacuumed, so that each write needs new space.
) WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE write_probe ALTER COLUMN filler SET STORAGE EXTERNAL;
INSERT INTO write_probe ("only", filler) VALUES (true, '');

CREATE TABLE senders (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('sms', 'email')),
    address text NOT NULL,
    provider text NOT NULL,
    credentials text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'paused')),
    segments_per_second integer NOT NULL CHECK (segments_per_second >= 0),
    default_expiry bigint CHECK (default_expiry > 0),
    reply_domain text NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    UNIQUE (channel, address)
);
CREATE INDEX senders_by_owner ON senders (owner, id);

CREATE TABLE conversations (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    user_label text NOT NULL,
    channel text NOT NULL CHECK (channel IN ('sms', 'email', 'chat')),
    participant_from text NOT NULL,
    participant_to text NOT NULL,
    title text NOT NULL,
    status text NOT NULL CHECK (status IN ('active', 'archived', 'closed')),
    external_id text,
    last_sequence bigint NOT NULL,
    read_sequence bigint NOT NULL CHECK (read_sequence <= last_sequence),
    message_count bigint NOT NULL CHECK (message_count >= 0),
    unread_count bigint NOT NULL CHECK (unread_count >= 0),
    last_message_at timestamptz,
    -- Time of the newest message, or of the creation if there is none: the order of lists.
    active_at timestamptz NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    edit_version bigint NOT NULL,
    -- Set at the beginning of a deletion: the conversation is hidden at once, its messages are removed in batches, then the row.
    deleted_at timestamptz
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
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    conversation_id uuid NOT NULL REFERENCES conversations (id),
    sequence bigint NOT NULL CHECK (sequence > 0),
    channel text NOT NULL CHECK (channel IN ('sms', 'mms', 'email', 'chat')),
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    status text NOT NULL CHECK (status IN ('scheduled', 'pending', 'sending', 'uncertain', 'sent', 'delivered', 'read',
        'undelivered', 'failed', 'expired', 'canceled', 'received')),
    from_address text NOT NULL,
    to_address text NOT NULL,
    cc_addresses jsonb NOT NULL,
    subject text NOT NULL,
    body text NOT NULL,
    html_body text NOT NULL,
    attachments jsonb NOT NULL,
    provider text,
    provider_message_id text,
    attempt integer NOT NULL CHECK (attempt >= 0),
    error jsonb,
    segments integer NOT NULL,
    tokens_used bigint,
    metadata jsonb NOT NULL,
    -- JSON object of the fields that no statement filters, sorts, sums or updates: role, latency_ms, policy. One that has its
    -- default is left out.
    other_fields jsonb NOT NULL,
    counts_unread boolean NOT NULL,
    send_at timestamptz,
    expires_at timestamptz,
    sent_at timestamptz,
    delivered_at timestamptz,
    read_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    edit_version bigint NOT NULL,
    UNIQUE (conversation_id, sequence)
);
CREATE UNIQUE INDEX messages_provider ON messages (owner, provider, provider_message_id)
    WHERE provider_message_id IS NOT NULL;
-- Messages that a provider has accepted and not reported on yet: few at any time.
CREATE INDEX messages_open ON messages (provider, id) WHERE status IN ('sent', 'uncertain');
CREATE INDEX messages_unread ON messages (conversation_id, sequence) WHERE counts_unread;

-- The delivery of an outbound message: a narrow row, so that a claim changes neither message, version, feed nor cache.
CREATE TABLE deliveries (
    message_id uuid PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    owner text NOT NULL,
    conversation_id uuid NOT NULL,
    sequence bigint NOT NULL,
    sender_id uuid NOT NULL REFERENCES senders (id),
    channel text NOT NULL CHECK (channel IN ('sms', 'mms', 'email')),
    provider text NOT NULL,
    -- scheduled: waits for its time; waiting: to be handed over, for the first time or again; claimed: being handed over, until
    -- due_at.
    state text NOT NULL CHECK (state IN ('scheduled', 'waiting', 'claimed')),
    -- Number of the last attempt; recorded before the provider is called.
    attempt integer NOT NULL CHECK (attempt >= 0),
    -- Whether an earlier message of its conversation and generation has not been handed over yet.
    blocked boolean NOT NULL,
    -- The installation's generation when the delivery was inserted or released; only deliveries of the present one are claimed.
    generation bigint NOT NULL,
    -- Earliest time of a claim; for a claimed delivery: the end of the worker's lease.
    due_at timestamptz NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (generation, due_at) WHERE NOT blocked;
CREATE INDEX deliveries_of_conversation ON deliveries (conversation_id, generation, sequence);
CREATE INDEX deliveries_of_sender ON deliveries (sender_id);

-- The events of a message: every attempt, receipt and refusal. Only appended to.
CREATE TABLE message_events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    owner text NOT NULL,
    message_id uuid NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    time timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('attempt', 'report', 'canceled', 'expired')),
    attempt integer,
    provider text,
    provider_time timestamptz,
    status text,
    detail text NOT NULL
);
CREATE INDEX message_events_of_message ON message_events (message_id, id);

-- An attachment, or an upload (message_id is null), which can be sent once, until expires_at.
CREATE TABLE attachments (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    message_id uuid REFERENCES messages (id) ON DELETE CASCADE,
    filename text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    url text,
    -- False while the upload is still being streamed.
    complete boolean NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz
);
CREATE INDEX attachments_of_message ON attachments (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX attachments_expiring ON attachments (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE attachment_chunks (
    attachment_id uuid NOT NULL REFERENCES attachments (id) ON DELETE CASCADE,
    position integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (attachment_id, position)
);

-- Tombstones of deleted inbound messages: a message that its provider delivers again must not come back. Kept for as long as
-- providers retry.
CREATE TABLE deleted_messages (
    owner text NOT NULL,
    provider text NOT NULL,
    provider_message_id text NOT NULL,
    deleted_at timestamptz NOT NULL,
    PRIMARY KEY (owner, provider, provider_message_id)
);
CREATE INDEX deleted_messages_age ON deleted_messages (deleted_at);

-- Separate from the messages: a retry must not send a deleted message again.
CREATE TABLE idempotency_keys (
    owner text NOT NULL,
    rpc text NOT NULL,
    key text NOT NULL,
    request_hash bytea NOT NULL,
    resource_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (owner, rpc, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

-- Every change, written in the transaction of the change. Readers stay below the oldest running transaction
-- (pg_snapshot_xmin), so that none skips a late commit; the order is (xid, id).
CREATE TABLE feed (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    owner text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('conversation_created', 'conversation_updated', 'conversation_deleted',
        'message_created', 'message_updated', 'message_status_changed', 'message_deleted')),
    conversation_id uuid NOT NULL,
    message_id uuid,
    user_label text NOT NULL,
    -- The row after the change; null once it is deleted.
    payload jsonb,
    -- Size of the payload: readers limit their pages by it without reading the payload.
    bytes integer NOT NULL,
    time timestamptz NOT NULL,
    PRIMARY KEY (xid, id)
);
-- Events that a deletion clears. An event is in one of the two or, once it is cleared, in neither: a write pays for one entry.
CREATE INDEX feed_of_message ON feed (message_id) WHERE message_id IS NOT NULL AND payload IS NOT NULL;
CREATE INDEX feed_of_conversation ON feed (conversation_id) WHERE message_id IS NULL AND payload IS NOT NULL;

-- One row: the epoch of the feed, and the position up to which it has been pruned.
CREATE TABLE feed_state (
    "only" boolean PRIMARY KEY CHECK ("only"),
    -- The time at which this feed began, in microseconds. Later epochs are greater, also in a database that was restored twice.
    epoch bigint NOT NULL,
    pruned_xid xid8 NOT NULL,
    pruned_id bigint NOT NULL,
    -- Events up to this id are of an earlier epoch: not delivered, and removed in batches. Null once they are gone.
    stale_id bigint
);
INSERT INTO feed_state ("only", epoch, pruned_xid, pruned_id)
    VALUES (true, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, '0'::xid8, 0);

-- Registrations of the instances, for the cache (docs/caching.md). The times are the database's own, unlike all others:
-- instances with different clocks must agree on them.
-- Few rows, each updated twice a second: free space for the next version in the same page, and vacuumed by count.
CREATE TABLE cache_instances (
    id uuid PRIMARY KEY,
    -- Whether the instance caches values in its own memory, where other instances cannot change them.
    memory boolean NOT NULL,
    alive_until timestamptz NOT NULL,
    -- The instance serves nothing from its cache after this, unless it renews.
    serves_until timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- One row: the number in every cached value, and the Redis processes that store the values; none until they are recorded.
CREATE TABLE cache_epoch (
    "only" boolean PRIMARY KEY CHECK ("only"),
    -- Random at first, and increased by random steps: neither another installation nor an earlier copy of this database
    -- uses the same numbers.
    number bigint NOT NULL CHECK (number >= 0),
    remote text NOT NULL,
    -- The database server that recorded the epoch: the identity of the database, and the start time of the server.
    database text NOT NULL,
    recorded_at timestamptz NOT NULL
);
INSERT INTO cache_epoch ("only", number, remote, database, recorded_at)
SELECT true, floor(random() * 4503599627370496)::bigint, '',
    (SELECT system_identifier FROM pg_control_system())::text || ':'
    || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) || ':'
    || (SELECT oid FROM pg_database WHERE datname = current_database())::text || ':'
    || 'installation'::regclass::oid::text || ':'
    || (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint::text,
    'epoch';

-- Keys that a committed write could not fence or release: an instance releases them before it serves from the cache.
-- Filled and emptied in bursts: vacuumed by count.
CREATE TABLE cache_pending (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cache_key text NOT NULL,
    token text NOT NULL,
    -- Whether its epoch has ended: the row is deleted without a release, once no instance serves from that epoch.
    retired boolean NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
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
    items bigint NOT NULL,
    -- Number of conversations with unread messages, and number of these messages.
    unread_items bigint NOT NULL,
    unread bigint NOT NULL,
    tokens bigint NOT NULL
-- Emptied as fast as it fills: vacuumed by count, and never truncated, which would need a lock that writes wait for.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = false);

-- Sums of the folded differences. An empty user_label is the whole owner.
CREATE TABLE stat_totals (
    owner text NOT NULL,
    user_label text NOT NULL,
    what text NOT NULL CHECK (what IN ('conversation', 'inbound', 'outbound')),
    channel text NOT NULL,
    status text NOT NULL,
    items bigint NOT NULL,
    unread_items bigint NOT NULL,
    unread bigint NOT NULL,
    tokens bigint NOT NULL,
    PRIMARY KEY (owner, user_label, what, channel, status)
-- Rows are updated often and no changed column is indexed: free space for the next version in the same page.
) WITH (fillfactor = 70);


-- Retention takes the oldest first. A message in progress has no entry: it stays, however old it is, and is not read.
CREATE INDEX messages_age ON messages (created_at, id)
    WHERE status NOT IN ('scheduled', 'pending', 'sending', 'uncertain');
CREATE INDEX conversations_empty ON conversations (active_at, id) WHERE message_count = 0 AND deleted_at IS NULL;

-- Postgres by default vacuums a table when a fifth of it is dead, and analyzes it again when a tenth has changed: with ten
-- million rows that is too late. No fillfactor below 100 where updates change indexed columns (a message's status, a
-- conversation's last activity, a delivery's due time): such an update needs a new entry in every index wherever its row is.
-- Most rows are updated twice and then never again.
ALTER TABLE messages SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,
    -- Maintains the visibility map, without which a count by an index reads every row.
    autovacuum_vacuum_insert_scale_factor = 0.02);
-- Every message updates its conversation.
ALTER TABLE conversations SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02);
-- A queue: as many rows are inserted as deleted, and its size says nothing. Never truncated: claims would wait for the lock.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = false);
-- Rows are inserted at one end and deleted at the other, a thousand at a time.
ALTER TABLE feed SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, vacuum_truncate = false);
ALTER TABLE idempotency_keys SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
    vacuum_truncate = false);
-- Only appended to, until its messages are deleted.
ALTER TABLE message_events SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

-- Search (docs/search.md). Filled only by the service, since its code defines what a word is (docs/adr/0011-search-terms.md).

-- Separate from the messages: their status changes several times, and each time every index entry would be written again.
CREATE TABLE message_search (
    message_id uuid PRIMARY KEY,
    owner text NOT NULL,
    conversation_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    -- Words, and one term for each of owner, user, conversation, channel and direction; without positions or weights.
    terms tsvector NOT NULL
-- For common words thousands of rows are read, newest first: terms stay in the row as long as they fit.
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
-- For common words: the newest messages, until enough of them match.
CREATE INDEX message_search_recent ON message_search (owner, created_at, message_id);
-- For rare words. New entries wait in a pending list that every search reads, so that list is kept short.
CREATE INDEX message_search_terms ON message_search USING gin (terms) WITH (fastupdate = on, gin_pending_list_limit = 256);

-- Covers every way of deleting a message. Not a foreign key: that would look for the message at each insertion.
CREATE FUNCTION message_search_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM message_search WHERE message_id IN (SELECT id FROM gone);
    RETURN NULL;
END
$$;
CREATE TRIGGER message_search_forget AFTER DELETE ON messages
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION message_search_forget();

-- For a search by a status in which few messages remain. OR, not IN: SQLite recognises the condition only in this form.
CREATE INDEX messages_resting ON messages (owner, status, created_at, id)
    WHERE status = 'scheduled' OR status = 'uncertain' OR status = 'undelivered' OR status = 'failed' OR status = 'expired'
        OR status = 'canceled';

-- Conversations with a changed title or user that is not yet indexed for all messages: those below the sequence are missing.
CREATE TABLE search_pending (
    conversation_id uuid PRIMARY KEY,
    owner text NOT NULL,
    below bigint NOT NULL
);

-- One row: edition and language of the index; empty until it is made.
CREATE TABLE search_state (
    "only" boolean PRIMARY KEY CHECK ("only"),
    made_by text NOT NULL
);
INSERT INTO search_state ("only", made_by) VALUES (true, '');

-- Progress of imports (docs/importing.md).

-- Separate from the conversations: few have one, and only imports read it.
CREATE TABLE imports (
    conversation_id uuid PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    owner text NOT NULL,
    -- Number of its first messages that have been imported, including later deleted ones, which do not come back.
    messages bigint NOT NULL CHECK (messages >= 0)
);
