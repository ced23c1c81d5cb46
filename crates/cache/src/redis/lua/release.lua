-- KEYS: each key followed by its lease, except for generations and values of a scope, which have none. ARGV: token, the time to
-- live of a fence in ms, that of a generation, the maximum list length, and for each key 'delete', 'rotate', 'drop' (without a
-- lease), or 'append' with the required prefix of the element below, the element, and its time to live in ms.
local writer = 'w:' .. ARGV[1]

-- Removes the fence. A fence that was in force until now has admitted no reader. If it was lost, the lease is written once more,
-- because tracking connections are notified of a written lease, but not of the removal of an absent one.
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

-- Prepends the element if the list fits. Returns whether it did.
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
  local key, mode = KEYS[at], ARGV[i]
  if mode == 'rotate' then
    rotate(key, ARGV[1], ARGV[3])
    at = at + 1
  elseif mode == 'drop' then
    redis.call('DEL', key)
    at = at + 1
  else
    lift(KEYS[at + 1])
    if mode == 'delete' or not append(key, ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) then
      redis.call('DEL', key)
    end
    at = at + 2
  end
  i = i + (mode == 'append' and 4 or 1)
end
return 1
