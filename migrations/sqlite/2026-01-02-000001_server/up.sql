-- The server on which deliveries may be claimed. A file has none: it is always the same one.
ALTER TABLE installation ADD COLUMN server text NOT NULL DEFAULT 'sqlite';
