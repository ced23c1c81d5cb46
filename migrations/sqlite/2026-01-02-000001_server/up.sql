-- The accepted server: the one on which deliveries may be claimed. A file has no server: the value is constant.
ALTER TABLE installation ADD COLUMN server text NOT NULL DEFAULT 'sqlite';
