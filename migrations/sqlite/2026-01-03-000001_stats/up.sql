-- Counters of conversations and messages, exact at any moment (docs/adr/0010-counters.md), and what lists and retention are
-- found by. Twin of the Postgres migration of the same name.

-- What each write added and took away, in its own transaction; folded into the totals soon after. Read whole, so it has no
-- index, and nothing but its place to name a row by.
CREATE TABLE stat_deltas (
    owner text NOT NULL,
    user_label text NOT NULL,
    -- A conversation, or a message by its direction.
    what text NOT NULL CHECK (what IN ('conversation', 'inbound', 'outbound')),
    channel text NOT NULL,
    status text NOT NULL,
    items integer NOT NULL,
    -- Conversations that have unread messages, and how many these are.
    unread_items integer NOT NULL,
    unread integer NOT NULL,
    tokens integer NOT NULL
);

-- The sums of what was folded. An empty user_label is the whole owner.
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
    ) counted CROSS JOIN (SELECT true AS whole UNION ALL SELECT false) level
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
