-- The server on which deliveries may be claimed: it was compared with what the cache knows, or could not be for long (docs/adr/0019-holds.md).
SET LOCAL lock_timeout = '1s';
ALTER TABLE installation ADD COLUMN server text NOT NULL DEFAULT '';
