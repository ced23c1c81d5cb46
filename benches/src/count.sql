-- Statistics of a database that was filled without them; the same on both databases.
INSERT INTO stat_totals (owner, user_label, what, channel, status, items, unread_items, unread, tokens)
    SELECT owner, CASE WHEN whole THEN '' ELSE user_label END, what, channel, status, sum(items), sum(unread_items),
        sum(unread), sum(tokens)
    FROM (
        SELECT owner, user_label, 'conversation' AS what, channel, status, count(*) AS items,
            count(*) FILTER (WHERE unread_count > 0) AS unread_items, sum(unread_count) AS unread, 0 AS tokens
        FROM conversations WHERE deleted_at IS NULL
        GROUP BY owner, user_label, channel, status
        UNION ALL
        SELECT m.owner, c.user_label, m.direction, m.channel, m.status, count(*), 0, 0, coalesce(sum(m.tokens_used), 0)
        FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.deleted_at IS NULL
        GROUP BY m.owner, c.user_label, m.direction, m.channel, m.status
    ) counted CROSS JOIN (SELECT true AS whole UNION ALL SELECT false) level
    WHERE whole OR user_label <> ''
    GROUP BY 1, 2, 3, 4, 5
