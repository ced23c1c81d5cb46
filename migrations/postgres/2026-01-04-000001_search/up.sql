-- What messages are found by (docs/search.md). Twin of the SQLite migration of the same name. Filled by the service alone, since
-- what a word is stands in its code (ADR 11): after this migration, and after a change of SEARCH_LANGUAGE, by `parlance migrate`
-- or at start.

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
