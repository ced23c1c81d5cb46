-- KEYS: the claim of this Redis database. ARGV: its holder, its database server, a number, the time to live of the key in ms.
-- Raises the marker to the number, and never lowers it. Returns whether the holder still has the claim.
if redis.pcall('HGET', KEYS[1], 'holder') ~= ARGV[1] or redis.pcall('HGET', KEYS[1], 'server') ~= ARGV[2] then
  return 0
end
-- First, for the same reason as in claim.lua.
redis.call('PEXPIRE', KEYS[1], ARGV[4])
local marker = tonumber(redis.call('HGET', KEYS[1], 'marker') or -1)
if marker < tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'marker', ARGV[3])
end
return 1
