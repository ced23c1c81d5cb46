-- Whether an instance uses Redis: it compares the database with the marker there, and the other instances wait for that. An
-- instance of the previous version does not set it and may use Redis.
ALTER TABLE cache_instances ADD COLUMN shared integer NOT NULL DEFAULT 1;
-- The server on which deliveries were held after a restore, until the marker is compared: one restore causes one hold.
ALTER TABLE installation ADD COLUMN held_on text NOT NULL DEFAULT '';
