-- Counters of conversations and messages, exact at any moment (docs/adr/0010-counters.md), what lists and retention are found
-- by, and how Postgres is to look after the tables that change most. Twin of the SQLite migration of the same name.

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

INSERT INTO stat_totals (owner, user_label, what, channel, status, items, unread_items, unread, tokens)
    SELECT owner, CASE WHEN whole THEN '' ELSE user_label END, what, channel, status, sum(items), sum(unread_items),
        sum(unread), sum(tokens)
    FROM (
        SELECT owner, user_label, 'conversation' AS what, channel, status, count(*) AS items,
            count(*) FILTER (WHERE unread_count > 0) AS unread_items, sum(unread_count) AS unread, 0 AS tokens
        FROM conversations WHERE deleted_at IS NULL
        GROUP BY owner, user_label, channel, status
        UNION ALL
        SELECT m.owner, c.user_label, m.direction, m.channel, m.status, count(*), 0, 0, coalesce(sum(m.tokens_used), 0)
        FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.deleted_at IS NULL
        GROUP BY m.owner, c.user_label, m.direction, m.channel, m.status
    ) counted CROSS JOIN (VALUES (true), (false)) level (whole)
    WHERE whole OR user_label <> ''
    GROUP BY 1, 2, 3, 4, 5;

-- Lists of what is unread, and of what is put away: few rows among many.
CREATE INDEX conversations_unread ON conversations (owner, active_at, id) WHERE unread_count > 0 AND deleted_at IS NULL;
CREATE INDEX conversations_put_away ON conversations (owner, status, active_at, id)
    WHERE status <> 'active' AND deleted_at IS NULL;

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
