-- The whole schema: the installation, senders, conversations, messages, deliveries, attachments, idempotency keys, the change feed, the cache protocol,
-- counters, search and imports.
-- Twin of the SQLite migration of the same name. Enums are text with a CHECK; times are parameters, never defaults.

-- One row: this installation, and the database that it last ran on (docs/operations.md, "Restoring a backup").
CREATE TABLE installation (
    "only" boolean PRIMARY KEY CHECK ("only"),
    id uuid NOT NULL,
    -- The database's own identity as it was recorded last; empty before the first start.
    database text NOT NULL,
    -- Reconciliation passes of the cache so far.
    reconciliations bigint NOT NULL CHECK (reconciliations >= 0),
    -- Deliveries of this generation leave. A hold begins the next one; the older ones then wait (docs/adr/0019-holds.md),
    generation bigint NOT NULL,
    -- except those below this one, which a release has freed: they are moved to the present generation in batches.
    released bigint NOT NULL CHECK (released <= generation)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
INSERT INTO installation ("only", id, database, reconciliations, generation, released)
    VALUES (true, gen_random_uuid(), '', 0, 0, 0);

-- One row, written to see whether the database takes writes again after it has refused one.
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
    -- The newest message, or the creation where there is none: what lists are ordered by.
    active_at timestamptz NOT NULL,
    metadata jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    edit_version bigint NOT NULL,
    -- Set when it is being deleted: hidden at once, its messages are removed in batches, then the row.
    deleted_at timestamptz
);
-- One conversation that is not closed per pair of addresses.
CREATE UNIQUE INDEX conversations_pair ON conversations (owner, channel, participant_from, participant_to)
    WHERE status <> 'closed' AND channel <> 'chat' AND deleted_at IS NULL;
CREATE UNIQUE INDEX conversations_external ON conversations (owner, external_id)
    WHERE external_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX conversations_recent ON conversations (owner, active_at, id) WHERE deleted_at IS NULL;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;

-- Conversation lists: one index for each filter, or a few that are merged, so that the price of a list depends neither on the
-- owner's other conversations nor on other owners.
-- All that a list is narrowed by is one key with its owner. Apart, Postgres knows how common each value is in the whole
-- installation, and not with this owner: where nearly all conversations are closed, it takes those that are not for as easily
-- found among all of the owner's, newest first, and walks through a million of them. No other index has an order for a key.
-- There is no space in an owner, and no key but its last part may have one.
CREATE INDEX conversations_of_user ON conversations ((owner || ' ' || user_label), active_at, id)
    WHERE user_label <> '' AND deleted_at IS NULL;

-- By status and channel: a list of one status is merged from those of its channels, and that of a channel from its statuses.
CREATE INDEX conversations_of_kind ON conversations ((owner || ' ' || status || ' ' || channel), active_at, id)
    WHERE deleted_at IS NULL;
CREATE INDEX conversations_of_kind_and_user
    ON conversations ((owner || ' ' || status || ' ' || channel || ' ' || user_label), active_at, id)
    WHERE user_label <> '' AND deleted_at IS NULL;

CREATE INDEX conversations_unread ON conversations ((owner || ' unread'), active_at, id)
    WHERE unread_count > 0 AND deleted_at IS NULL;
CREATE INDEX conversations_unread_of_user ON conversations ((owner || ' unread ' || user_label), active_at, id)
    WHERE user_label <> '' AND unread_count > 0 AND deleted_at IS NULL;

-- By an address, theirs or ours. Theirs has few conversations, whoever of us has them; ours may have all that a user has. Both
-- an address and a user may have spaces, so these two are not one key.
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
    role text CHECK (role IN ('user', 'assistant', 'system')),
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
    latency_ms bigint,
    metadata jsonb NOT NULL,
    policy text NOT NULL CHECK (policy IN ('at_least_once', 'at_most_once')),
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
-- What a provider has and has not reported about: few at any time.
CREATE INDEX messages_open ON messages (provider, id) WHERE status IN ('sent', 'uncertain');
CREATE INDEX messages_unread ON messages (conversation_id, sequence) WHERE counts_unread;

-- The job of a message that is to leave: narrow, so that claims touch neither message, version, feed nor cache.
CREATE TABLE deliveries (
    message_id uuid PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    owner text NOT NULL,
    conversation_id uuid NOT NULL,
    sequence bigint NOT NULL,
    sender_id uuid NOT NULL REFERENCES senders (id),
    channel text NOT NULL CHECK (channel IN ('sms', 'mms', 'email')),
    provider text NOT NULL,
    -- scheduled: waits for its time; waiting: to be handed over, first or again; claimed: being handed over, until due_at.
    state text NOT NULL CHECK (state IN ('scheduled', 'waiting', 'claimed')),
    -- The last hand-over that was begun; recorded before the provider is called.
    attempt integer NOT NULL CHECK (attempt >= 0),
    -- An earlier message of its conversation and generation has not been handed over yet.
    blocked boolean NOT NULL,
    -- The installation's generation when it was written or released; only those of the present one may be claimed.
    generation bigint NOT NULL,
    -- When it may be claimed; of a claimed one: when its worker has lost it.
    due_at timestamptz NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (generation, due_at) WHERE NOT blocked;
CREATE INDEX deliveries_of_conversation ON deliveries (conversation_id, generation, sequence);
CREATE INDEX deliveries_of_sender ON deliveries (sender_id);

-- The story of a message: every attempt, receipt and refusal. Only appended to.
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

-- An attachment, or an upload (message_id is null) that waits for its one send until expires_at.
CREATE TABLE attachments (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    message_id uuid REFERENCES messages (id) ON DELETE CASCADE,
    filename text NOT NULL,
    content_type text NOT NULL,
    size_bytes bigint NOT NULL CHECK (size_bytes >= 0),
    url text,
    -- False while an upload is still being streamed.
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

-- Received messages that were deleted: a provider that delivers one again must not bring it back. Kept for as long as providers
-- retry.
CREATE TABLE deleted_messages (
    owner text NOT NULL,
    provider text NOT NULL,
    provider_message_id text NOT NULL,
    deleted_at timestamptz NOT NULL,
    PRIMARY KEY (owner, provider, provider_message_id)
);
CREATE INDEX deleted_messages_age ON deleted_messages (deleted_at);

-- Apart from the messages: a deleted message must not be sent again by a retry.
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

-- Every change, written in the transaction of the change. Readers stay below the oldest transaction that still runs
-- (pg_snapshot_xmin), so that none skips one that commits late; the order is (xid, id).
CREATE TABLE feed (
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    owner text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('conversation_created', 'conversation_updated', 'conversation_deleted',
        'message_created', 'message_updated', 'message_status_changed', 'message_deleted')),
    conversation_id uuid NOT NULL,
    message_id uuid,
    user_label text NOT NULL,
    -- The row as it then was; null once it is deleted.
    payload jsonb,
    -- How large that was: readers cut their pages by it without reading it.
    bytes integer NOT NULL,
    time timestamptz NOT NULL,
    PRIMARY KEY (xid, id)
);
-- What a deletion clears. An event is in one of the two or, once it is cleared, in neither: a write pays for one entry.
CREATE INDEX feed_of_message ON feed (message_id) WHERE message_id IS NOT NULL AND payload IS NOT NULL;
CREATE INDEX feed_of_conversation ON feed (conversation_id) WHERE message_id IS NULL AND payload IS NOT NULL;

-- One row: which feed this is, and up to where it has been pruned.
CREATE TABLE feed_state (
    "only" boolean PRIMARY KEY CHECK ("only"),
    -- The time at which this feed began, in microseconds: later ones are greater, also those of a database that was restored twice.
    epoch bigint NOT NULL,
    pruned_xid xid8 NOT NULL,
    pruned_id bigint NOT NULL,
    -- Events up to this id are of an earlier epoch: not shown, and removed in batches. Null once they are gone.
    stale_id bigint
);
INSERT INTO feed_state ("only", epoch, pruned_xid, pruned_id)
    VALUES (true, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, '0'::xid8, 0);

-- What the instances tell one another for the cache (docs/caching.md). The times are the database's own, unlike all others:
-- instances whose clocks differ must agree on them.
-- Few rows, rewritten twice a second each: room for the next version beside the last, and vacuumed by count.
CREATE TABLE cache_instances (
    id uuid PRIMARY KEY,
    -- Whether it keeps values in its own memory, where nobody else can change them.
    memory boolean NOT NULL,
    alive_until timestamptz NOT NULL,
    -- Nothing is served from its cache after this unless it renews.
    serves_until timestamptz NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

-- One row: the number that values are stamped with, and the processes that hold them; none of them until they are recorded.
CREATE TABLE cache_epoch (
    "only" boolean PRIMARY KEY CHECK ("only"),
    -- Random at first, and each next one is a random step above: neither another installation nor an earlier copy of this database
    -- has the same ones.
    number bigint NOT NULL CHECK (number >= 0),
    remote text NOT NULL,
    -- The server that recorded it: the identity of the database, and when the server was started.
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

-- Keys that a committed write could not fence or release: whoever serves from the cache releases them first.
-- Filled and emptied in bursts: vacuumed by count.
CREATE TABLE cache_pending (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cache_key text NOT NULL,
    token text NOT NULL,
    -- The epoch of whatever it is about has ended: it goes without a release, once nobody serves from that epoch.
    retired boolean NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
CREATE INDEX cache_pending_of_token ON cache_pending (token);
CREATE INDEX cache_pending_retired ON cache_pending (id) WHERE retired;
CREATE INDEX cache_pending_waiting ON cache_pending (id) WHERE NOT retired;

-- Counters of conversations and messages, exact at any moment (docs/adr/0010-counters.md).

-- What each write added and took away, in its own transaction; folded into the totals soon after. Read whole, so it has no
-- index, and nothing but its place to name a row by.
CREATE TABLE stat_deltas (
    owner text NOT NULL,
    user_label text NOT NULL,
    -- A conversation, or a message by its direction.
    what text NOT NULL CHECK (what IN ('conversation', 'inbound', 'outbound')),
    channel text NOT NULL,
    status text NOT NULL,
    items bigint NOT NULL,
    -- Conversations that have unread messages, and how many these are.
    unread_items bigint NOT NULL,
    unread bigint NOT NULL,
    tokens bigint NOT NULL
-- Emptied as fast as it fills: vacuumed by count, and never cut off at its end, which would need a lock that writes wait for.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
    autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = false);

-- The sums of what was folded. An empty user_label is the whole owner.
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
-- Its rows are rewritten in place, none of what changes is indexed: room for the next version beside the last.
) WITH (fillfactor = 70);


-- Retention takes the oldest first. What is still under way has no entry: it stays, however old it is, and is not looked at.
CREATE INDEX messages_age ON messages (created_at, id)
    WHERE status NOT IN ('scheduled', 'pending', 'sending', 'uncertain');
CREATE INDEX conversations_empty ON conversations (active_at, id) WHERE message_count = 0 AND deleted_at IS NULL;

-- Postgres by default vacuums a table when a fifth of it is dead, and measures it anew when a tenth has changed: of ten
-- million rows that is too late. No fillfactor below 100 for those whose updates change what is indexed (a message's status,
-- a conversation's last activity, a job's due time): such an update needs a new entry in every index wherever its row lies.
-- Most rows are updated twice and then never again.
ALTER TABLE messages SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,
    -- Marks what is visible to all, without which a count by an index reads every row.
    autovacuum_vacuum_insert_scale_factor = 0.02);
-- Every message updates its conversation.
ALTER TABLE conversations SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.02);
-- A queue: as many rows come as go, and its size says nothing. Never cut off at its end: claims would wait for the lock.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, vacuum_truncate = false);
-- Rows come at one end and go at the other, a thousand at a time.
ALTER TABLE feed SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000, vacuum_truncate = false);
ALTER TABLE idempotency_keys SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 10000,
    vacuum_truncate = false);
-- Only appended to, until its messages go.
ALTER TABLE message_events SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);

-- Search (docs/search.md). Filled by the service alone, since its code defines what a word is (docs/adr/0011-search-terms.md).

-- Beside the messages: their status changes several times, and each time every entry of the index would be written anew.
CREATE TABLE message_search (
    message_id uuid PRIMARY KEY,
    owner text NOT NULL,
    conversation_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    -- Words, and one term for each of owner, user, conversation, channel and direction; without places or weights.
    terms tsvector NOT NULL
-- Newest first, thousands of rows are looked through for common words: terms stay in the row as long as they fit.
) WITH (toast_tuple_target = 8160, autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
-- Common words: the newest messages, until enough have them.
CREATE INDEX message_search_recent ON message_search (owner, created_at, message_id);
-- Rare words. What is inserted waits in a list that every search reads, so that it is kept short.
CREATE INDEX message_search_terms ON message_search USING gin (terms) WITH (fastupdate = on, gin_pending_list_limit = 256);

-- However a message goes. Not a foreign key: that would look for the message at each insertion.
CREATE FUNCTION message_search_forget() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM message_search WHERE message_id IN (SELECT id FROM gone);
    RETURN NULL;
END
$$;
CREATE TRIGGER message_search_forget AFTER DELETE ON messages
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION message_search_forget();

-- A search for a status that messages seldom come to rest in. OR, not IN: SQLite sees that it holds only so.
CREATE INDEX messages_resting ON messages (owner, status, created_at, id)
    WHERE status = 'scheduled' OR status = 'uncertain' OR status = 'undelivered' OR status = 'failed' OR status = 'expired'
        OR status = 'canceled';

-- Conversations whose title or user has changed, and whose messages are not yet all found by it: those below the sequence.
CREATE TABLE search_pending (
    conversation_id uuid PRIMARY KEY,
    owner text NOT NULL,
    below bigint NOT NULL
);

-- One row: what the terms were made by; nothing until they are.
CREATE TABLE search_state (
    "only" boolean PRIMARY KEY CHECK ("only"),
    made_by text NOT NULL
);
INSERT INTO search_state ("only", made_by) VALUES (true, '');

-- Progress of imports (docs/importing.md).

-- Beside the conversations: few have one, and only imports ask for it.
CREATE TABLE imports (
    conversation_id uuid PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    owner text NOT NULL,
    -- So many of its first messages have been imported, whatever became of them since: what is deleted does not come back.
    messages bigint NOT NULL CHECK (messages >= 0)
);

-- Searches that are asked often, for warming the cache (docs/caching.md).

-- Of the whole installation: a thousand rows at most, read whole, so nothing but the question has an index. It refers to
-- nothing: who searches may name a conversation or a user that is not there.
CREATE TABLE popular_searches (
    -- A fingerprint of all of it, the owner too.
    question uuid PRIMARY KEY,
    owner text NOT NULL,
    query text NOT NULL,
    page_size bigint NOT NULL,
    user_label text,
    conversation_id uuid,
    channel text,
    direction text,
    status text,
    created_after timestamptz,
    created_before timestamptz,
    -- How often it was asked, halved every day.
    weight bigint NOT NULL CHECK (weight >= 0),
    asked_at timestamptz NOT NULL
);

-- One row, which whoever changes the others holds meanwhile: the day, since 1970, for which the weights hold.
CREATE TABLE popular_state (
    "only" boolean PRIMARY KEY CHECK ("only"),
    day bigint NOT NULL
);
INSERT INTO popular_state ("only", day) VALUES (true, 0);
