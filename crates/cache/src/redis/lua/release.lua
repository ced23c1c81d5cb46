-- ARGV: token, the life of a fence in ms, and to append: how the element below must begin, the element, the longest list, its
-- time to live in ms.
sweep()
-- Trackers hear of a lease that is written, even if the fence was lost; the removal of what is gone tells nobody.
redis.call('ZADD', KEYS[2], now + ARGV[2], 'w:' .. ARGV[1])
redis.call('ZREM', KEYS[2], 'w:' .. ARGV[1])
drop_readers()
if ARGV[3] then
  local head = redis.pcall('LINDEX', KEYS[1], 0)
  if head == '{"fence":"' .. ARGV[1] .. '"}' then
    redis.call('LPOP', KEYS[1])
    local below = redis.call('LINDEX', KEYS[1], 0)
    if below and string.sub(below, 1, #ARGV[3]) == ARGV[3] then
      redis.call('LPUSH', KEYS[1], ARGV[4])
      redis.call('LTRIM', KEYS[1], 0, ARGV[5] - 1)
      redis.call('PEXPIRE', KEYS[1], ARGV[6])
      return 1
    end
  end
end
redis.call('DEL', KEYS[1])
return 0
