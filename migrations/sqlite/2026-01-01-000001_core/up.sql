-- The core: senders, conversations, messages, what waits for delivery, attachments, idempotency keys and the change feed.
-- Twin of the Postgres migration of the same name. Enums are text with a CHECK; times are parameters, never defaults.

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
    -- The newest message, or the creation where there is none: what lists are ordered by.
    active_at integer NOT NULL,
    metadata text NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    version integer NOT NULL,
    edit_version integer NOT NULL,
    -- Set when it is being deleted: hidden at once, its messages are removed in batches, then the row.
    deleted_at integer
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
    id blob PRIMARY KEY,
    owner text NOT NULL,
    conversation_id blob NOT NULL REFERENCES conversations (id),
    sequence integer NOT NULL CHECK (sequence > 0),
    channel text NOT NULL CHECK (channel IN ('sms', 'mms', 'email', 'chat')),
    direction text NOT NULL CHECK (direction IN ('inbound', 'outbound')),
    status text NOT NULL CHECK (status IN ('scheduled', 'pending', 'sending', 'uncertain', 'sent', 'delivered', 'read',
        'undelivered', 'failed', 'expired', 'canceled', 'received')),
    role text CHECK (role IN ('user', 'assistant', 'system')),
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
    latency_ms integer,
    metadata text NOT NULL,
    policy text NOT NULL CHECK (policy IN ('at_least_once', 'at_most_once')),
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
-- What a provider has and has not reported about: few at any time.
CREATE INDEX messages_open ON messages (provider, id) WHERE status IN ('sent', 'uncertain');
CREATE INDEX messages_unread ON messages (conversation_id, sequence) WHERE counts_unread;

-- The job of a message that is to leave: narrow, so that claims touch neither message, version, feed nor cache.
CREATE TABLE deliveries (
    message_id blob PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
    owner text NOT NULL,
    conversation_id blob NOT NULL,
    sequence integer NOT NULL,
    sender_id blob NOT NULL REFERENCES senders (id),
    channel text NOT NULL CHECK (channel IN ('sms', 'mms', 'email')),
    provider text NOT NULL,
    -- scheduled: waits for its time; waiting: to be handed over, first or again; claimed: being handed over, until due_at.
    state text NOT NULL CHECK (state IN ('scheduled', 'waiting', 'claimed')),
    -- The last hand-over that was begun; recorded before the provider is called.
    attempt integer NOT NULL CHECK (attempt >= 0),
    -- An earlier message of its conversation has not been handed over yet.
    blocked integer NOT NULL,
    -- When it may be claimed; of a claimed one: when its worker has lost it.
    due_at integer NOT NULL,
    expires_at integer,
    created_at integer NOT NULL
);
CREATE INDEX deliveries_due ON deliveries (due_at) WHERE NOT blocked;
CREATE INDEX deliveries_of_conversation ON deliveries (conversation_id, sequence);
CREATE INDEX deliveries_of_sender ON deliveries (sender_id);

-- The story of a message: every attempt, receipt and refusal. Only appended to.
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

-- An attachment, or an upload (message_id is null) that waits for its one send until expires_at.
CREATE TABLE attachments (
    id blob PRIMARY KEY,
    owner text NOT NULL,
    message_id blob REFERENCES messages (id) ON DELETE CASCADE,
    filename text NOT NULL,
    content_type text NOT NULL,
    size_bytes integer NOT NULL CHECK (size_bytes >= 0),
    url text,
    -- False while an upload is still being streamed.
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

-- Apart from the messages: a deleted message must not be sent again by a retry.
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
-- is always 0. AUTOINCREMENT, so that a pruned id is not given again.
CREATE TABLE feed (
    id integer PRIMARY KEY AUTOINCREMENT,
    xid integer NOT NULL DEFAULT 0,
    owner text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('conversation_created', 'conversation_updated', 'conversation_deleted',
        'message_created', 'message_updated', 'message_status_changed', 'message_deleted')),
    conversation_id blob NOT NULL,
    message_id blob,
    user_label text NOT NULL,
    -- The row as it then was; null once it is deleted.
    payload text,
    time integer NOT NULL
);
CREATE INDEX feed_of_conversation ON feed (conversation_id);

-- One row: which feed this is, and up to where it has been pruned.
CREATE TABLE feed_state (
    only integer PRIMARY KEY CHECK (only = 1),
    epoch integer NOT NULL,
    pruned_xid integer NOT NULL,
    pruned_id integer NOT NULL
);
INSERT INTO feed_state (only, epoch, pruned_xid, pruned_id) VALUES (1, abs(random() % 9007199254740991), 0, 0);

-- What the instances tell one another for the cache (docs/caching.md). The times are the database's own, unlike all others:
-- instances whose clocks differ must agree on them.
CREATE TABLE cache_instances (
    id blob PRIMARY KEY,
    -- Whether it keeps values in its own memory, where nobody else can change them.
    memory integer NOT NULL,
    alive_until integer NOT NULL,
    -- Nothing is served from its cache after this unless it renews.
    serves_until integer NOT NULL
);

-- One row: the number that values are stamped with, and the processes that hold them; none of them until they are recorded.
CREATE TABLE cache_epoch (
    only integer PRIMARY KEY CHECK (only = 1),
    number integer NOT NULL CHECK (number >= 0),
    remote text NOT NULL,
    recorded_at integer NOT NULL
);
INSERT INTO cache_epoch (only, number, remote, recorded_at) VALUES (1, 0, '', 0);

-- Keys that a committed write could not fence or release: whoever serves from the cache releases them first.
CREATE TABLE cache_pending (
    id integer PRIMARY KEY AUTOINCREMENT,
    cache_key text NOT NULL,
    token text NOT NULL,
    -- The epoch of whatever it is about has ended: it goes without a release, once nobody serves from that epoch.
    retired integer NOT NULL
);
CREATE INDEX cache_pending_of_token ON cache_pending (token);
CREATE INDEX cache_pending_retired ON cache_pending (id) WHERE retired;
CREATE INDEX cache_pending_waiting ON cache_pending (id) WHERE NOT retired;
