-- Which searches are asked often, for whoever warms the cache (docs/caching.md). Twin of the SQLite migration of the same name.

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
