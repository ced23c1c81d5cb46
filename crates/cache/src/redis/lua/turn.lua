-- Begins another generation of a scope: one that never was, even if the same write asks twice. A late repetition that brought
-- an earlier one back would bring back what was found under it.
-- KEYS: the generation. ARGV: a token, how long it is kept.
redis.call('SET', KEYS[1], ARGV[1] .. '-' .. time[1] .. '-' .. time[2], 'PX', ARGV[2])
return 1
