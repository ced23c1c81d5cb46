-- The accepted server: the one on which deliveries may be claimed. Its database was compared with the marker of the cache, or the
-- comparison was impossible for long enough (docs/adr/0019-holds.md).
SET LOCAL lock_timeout = '1s';
ALTER TABLE installation ADD COLUMN server text NOT NULL DEFAULT '';
