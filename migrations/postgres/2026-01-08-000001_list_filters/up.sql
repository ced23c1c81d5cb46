-- What lists of conversations are found by, whatever they are narrowed by: each is one stretch of an index, or a few that are
-- merged, so that neither an owner's other conversations nor those of others have a part in its price. Twin of the SQLite
-- migration of the same name.

-- All that a list is narrowed by is one key with its owner. Apart, Postgres knows how common each value is in the whole
-- installation, and not with this owner: where nearly all conversations are closed, it takes those that are not for as easily
-- found among all of the owner's, newest first, and walks through a million of them. No other index has an order for a key.
-- There is no space in an owner, and no key but its last part may have one.
DROP INDEX conversations_recent_of_user;
CREATE INDEX conversations_of_user ON conversations ((owner || ' ' || user_label), active_at, id)
    WHERE user_label <> '' AND deleted_at IS NULL;

-- By status and channel: a list of one status is merged from those of its channels, and that of a channel from its statuses.
DROP INDEX conversations_put_away;
CREATE INDEX conversations_of_kind ON conversations ((owner || ' ' || status || ' ' || channel), active_at, id)
    WHERE deleted_at IS NULL;
CREATE INDEX conversations_of_kind_and_user
    ON conversations ((owner || ' ' || status || ' ' || channel || ' ' || user_label), active_at, id)
    WHERE user_label <> '' AND deleted_at IS NULL;

DROP INDEX conversations_unread;
CREATE INDEX conversations_unread ON conversations ((owner || ' unread'), active_at, id)
    WHERE unread_count > 0 AND deleted_at IS NULL;
CREATE INDEX conversations_unread_of_user ON conversations ((owner || ' unread ' || user_label), active_at, id)
    WHERE user_label <> '' AND unread_count > 0 AND deleted_at IS NULL;

-- By an address, theirs or ours. Theirs has few conversations, whoever of us has them; ours may have all that a user has. Both
-- an address and a user may have spaces, so these two are not one key.
DROP INDEX conversations_participant;
CREATE INDEX conversations_theirs ON conversations ((owner || ' ' || participant_to), active_at, id)
    WHERE participant_to <> '' AND deleted_at IS NULL;
CREATE INDEX conversations_ours ON conversations ((owner || ' ' || participant_from), active_at, id)
    WHERE participant_from <> '' AND deleted_at IS NULL;
CREATE INDEX conversations_ours_of_user ON conversations ((owner || ' ours ' || user_label), participant_from, active_at, id)
    WHERE user_label <> '' AND participant_from <> '' AND deleted_at IS NULL;
