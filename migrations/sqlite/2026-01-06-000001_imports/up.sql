-- How far the imports of old conversations have come (docs/importing.md). Twin of the Postgres migration of the same name.

-- Beside the conversations: few have one, and only imports ask for it.
CREATE TABLE imports (
    conversation_id blob PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    owner text NOT NULL,
    -- So many of its first messages have been imported, whatever became of them since: what is deleted does not come back.
    messages integer NOT NULL CHECK (messages >= 0)
);
