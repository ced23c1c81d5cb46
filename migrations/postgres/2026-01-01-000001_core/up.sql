-- The core: senders, conversations, messages, what waits for delivery, attachments, idempotency keys and the change feed.
-- Twin of the SQLite migration of the same name. Enums are text with a CHECK; times are parameters, never defaults.

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
CREATE INDEX conversations_recent_of_user ON conversations (owner, user_label, active_at, id) WHERE deleted_at IS NULL;
CREATE INDEX conversations_participant ON conversations (owner, participant_to, active_at, id) WHERE deleted_at IS NULL;
CREATE INDEX conversations_deleted ON conversations (deleted_at) WHERE deleted_at IS NOT NULL;

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
    -- An earlier message of its conversation has not been handed over yet.
    blocked boolean NOT NULL,
    -- When it may be claimed; of a claimed one: when its worker has lost it.
    due_at timestamptz NOT NULL,
    expires_at timestamptz,
    created_at timestamptz NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE NOT blocked;
CREATE INDEX deliveries_of_conversation ON deliveries (conversation_id, sequence);
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
    time timestamptz NOT NULL,
    PRIMARY KEY (xid, id)
);
CREATE INDEX feed_of_conversation ON feed (conversation_id);

-- One row: which feed this is, and up to where it has been pruned.
CREATE TABLE feed_state (
    "only" boolean PRIMARY KEY CHECK ("only"),
    epoch bigint NOT NULL,
    pruned_xid xid8 NOT NULL,
    pruned_id bigint NOT NULL
);
INSERT INTO feed_state ("only", epoch, pruned_xid, pruned_id)
    VALUES (true, floor(random() * 9007199254740991)::bigint, '0'::xid8, 0);

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
    number bigint NOT NULL CHECK (number >= 0),
    remote text NOT NULL,
    recorded_at timestamptz NOT NULL
);
INSERT INTO cache_epoch ("only", number, remote, recorded_at) VALUES (true, 0, '', 'epoch');

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
