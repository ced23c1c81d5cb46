-- KEYS: one after the other, each with its lease behind it, but for a generation and what is kept under one. ARGV: token, the
-- life of a fence in ms, that of a generation, the longest list, and for each key 'delete', 'turn', 'drop' (without a lease), or
-- 'append' with how the element below must begin, the element, its time to live in ms.
local writer = 'w:' .. ARGV[1]

-- A fence that stood until now has let no reader in. Trackers hear of a lease that is written, even if the fence was lost; the
-- removal of what is gone tells nobody.
local function lift(lease)
  local lifted = redis.pcall('ZREM', lease, writer)
  if lifted == 1 then
    return
  end
  if is_error(lifted) then
    redis.call('DEL', lease)
  end
  redis.call('ZADD', lease, now + ARGV[2], writer)
  drop_readers(lease)
  redis.call('ZREM', lease, writer)
end

-- Whether it went on top.
local function append(key, below, element, life)
  if redis.pcall('LINDEX', key, 0) ~= '{"fence":"' .. ARGV[1] .. '"}' then
    return false
  end
  redis.call('LPOP', key)
  local head = redis.call('LINDEX', key, 0)
  if not head or string.sub(head, 1, #below) ~= below then
    return false
  end
  redis.call('LPUSH', key, element)
  redis.call('LTRIM', key, 0, ARGV[4] - 1)
  redis.call('PEXPIRE', key, life)
  return true
end

local at, i = 1, 5
while i <= #ARGV do
  local key, how = KEYS[at], ARGV[i]
  if how == 'turn' then
    turn(key, ARGV[1], ARGV[3])
    at = at + 1
  elseif how == 'drop' then
    redis.call('DEL', key)
    at = at + 1
  else
    lift(KEYS[at + 1])
    if how == 'delete' or not append(key, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) then
      redis.call('DEL', key)
    end
    at = at + 2
  end
  i = i + (how == 'append' and 4 or 1)
end
return 1
