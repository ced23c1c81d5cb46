-- What messages are found by (docs/search.md). Twin of the Postgres migration of the same name. Filled by the service alone, since
-- what a word is stands in its code (ADR 11): after this migration, and after a change of SEARCH_LANGUAGE, by `parlance migrate`
-- or at start.

-- The number by which the index names a message. It begins with the milliseconds of its time, since matches come in its order.
CREATE TABLE message_search (
    number integer PRIMARY KEY,
    message_id blob NOT NULL UNIQUE
);

-- Words, and one term for each of owner, user, conversation, channel and direction; without places. No text is kept here. The
-- tokenizer has nothing left to do: terms are of letters and digits in lower case, and are told apart by blanks.
CREATE VIRTUAL TABLE message_terms USING fts5 (
    terms, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '='"
);

-- However a message goes.
CREATE TRIGGER message_search_forget AFTER DELETE ON messages BEGIN
    DELETE FROM message_terms WHERE rowid = (SELECT number FROM message_search WHERE message_id = OLD.id);
    DELETE FROM message_search WHERE message_id = OLD.id;
END;

-- A search for a status that messages seldom come to rest in. OR, not IN: SQLite sees that it holds only so.
CREATE INDEX messages_resting ON messages (owner, status, created_at, id)
    WHERE status = 'scheduled' OR status = 'uncertain' OR status = 'undelivered' OR status = 'failed' OR status = 'expired'
        OR status = 'canceled';

-- Conversations whose title or user has changed, and whose messages are not yet all found by it: those below the sequence.
CREATE TABLE search_pending (
    conversation_id blob PRIMARY KEY,
    owner text NOT NULL,
    below integer NOT NULL
);

-- One row: what the terms were made by; nothing until they are.
CREATE TABLE search_state (
    "only" integer PRIMARY KEY CHECK ("only"),
    made_by text NOT NULL
);
INSERT INTO search_state ("only", made_by) VALUES (true, '');
