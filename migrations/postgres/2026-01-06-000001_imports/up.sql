-- How far the imports of old conversations have come (docs/importing.md). Twin of the SQLite migration of the same name.

-- Beside the conversations: few have one, and only imports ask for it.
CREATE TABLE imports (
    conversation_id uuid PRIMARY KEY REFERENCES conversations (id) ON DELETE CASCADE,
    owner text NOT NULL,
    -- So many of its first messages have been imported, whatever became of them since: what is deleted does not come back.
    messages bigint NOT NULL CHECK (messages >= 0)
);
