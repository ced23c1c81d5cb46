-- Whether an instance uses a shared tier: it compares the database with the marker there, and the others wait for that. An
-- instance of the version before does not say: it may.
SET LOCAL lock_timeout = '1s';
ALTER TABLE cache_instances ADD COLUMN shared boolean NOT NULL DEFAULT true;
-- The server on which deliveries were held after a restore, until the marker is compared: one restore holds them once.
ALTER TABLE installation ADD COLUMN held_on text NOT NULL DEFAULT '';
