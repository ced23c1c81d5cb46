-- KEYS: the claim of this Redis database, a hash of `holder`, `server`, `until` (in ms on this server's clock) and `marker`.
-- ARGV: the holder that claims, its database server, the duration of the claim in ms, the time to live of the key in ms.
-- Returns {1, marker}, or {1} without a marker, or {0} if another holder has a valid claim, or the same holder with another server:
-- a copy of the database, which would raise the same marker.

-- This write must come first: a server that is out of memory refuses writes only to a script that has not written yet, and this
-- write adds no data.
if is_error(redis.pcall('HLEN', KEYS[1])) then
  redis.call('DEL', KEYS[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])

local claim = redis.call('HMGET', KEYS[1], 'holder', 'server', 'until', 'marker')
local held = claim[1] == ARGV[1]
local renewed = held and claim[2] == ARGV[2]
if claim[1] and not renewed and now < (tonumber(claim[3]) or 0) then
  return {0}
end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'server', ARGV[2], 'until', now + ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
if held and claim[4] then
  return {1, tonumber(claim[4])}
end
-- The marker belongs to the previous holder.
redis.call('HDEL', KEYS[1], 'marker')
return {1}
