-- KEYS: the claim of this Redis database, a hash of `holder`, `server`, `until` (in ms on this server's clock) and `marker`.
-- ARGV: the holder who asks, the server of its database, how long it holds in ms, how long the key lives in ms.
-- Answers {1, marker}, or {1} if there is none, or {0} if another holder lives, or the same one with another server: a copy of the
-- database, which would raise the same marker.

-- First of all: a server without room refuses writes only to a script that has written nothing yet, and this one adds nothing.
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
-- The marker is of the holder before.
redis.call('HDEL', KEYS[1], 'marker')
return {1}
