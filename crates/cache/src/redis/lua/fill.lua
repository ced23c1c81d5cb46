-- KEYS: the value, its lease.
-- ARGV: token, the value's time to live in ms, 'one' or 'list', and the elements of the value. Returns whether it was stored.
sweep(KEYS[2])
if redis.call('ZREM', KEYS[2], 'r:' .. ARGV[1]) == 0 or #ARGV < 4 then
  return 0
end
if ARGV[3] == 'list' then
  redis.call('DEL', KEYS[1])
  for i = 4, #ARGV do
    redis.call('RPUSH', KEYS[1], ARGV[i])
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[2])
end
return 1
