-- The provider's group of numbers that a sender belongs to. An instance of the previous version does not set it.
SET LOCAL lock_timeout = '1s';
ALTER TABLE senders ADD COLUMN messaging_service text NOT NULL DEFAULT '';
