-- Stands before each script. A lease is a ZSET of one `r:` or any number of `w:` tokens, scored by when they expire in ms on this
-- server's clock.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function is_error(answer)
  return type(answer) == 'table' and answer.err
end

-- Without what has expired. What is no ZSET is none of ours and would fail every write of the key: here and below it goes.
local function sweep(lease)
  if is_error(redis.pcall('ZREMRANGEBYSCORE', lease, '-inf', now)) then
    redis.call('DEL', lease)
  end
end

local function has(lease, kind)
  for _, member in ipairs(redis.call('ZRANGE', lease, 0, -1)) do
    if string.sub(member, 1, 2) == kind then
      return true
    end
  end
  return false
end

-- Beside others what has expired goes, too, so that it cannot heap up where nobody reads.
local function drop_readers(lease)
  local members = redis.call('ZRANGE', lease, 0, -1)
  if #members > 1 then
    sweep(lease)
  end
  for _, member in ipairs(members) do
    if string.sub(member, 1, 2) == 'r:' then
      redis.call('ZREM', lease, member)
    end
  end
end

-- The newest member always expires last, so the key lives as long as it does.
local function add(lease, member, life)
  if is_error(redis.pcall('ZADD', lease, now + life, member)) then
    redis.call('DEL', lease)
    redis.call('ZADD', lease, now + life, member)
  end
  redis.call('PEXPIRE', lease, life)
end

-- Begins another generation of a scope: one that never was, even if the same write asks twice. A late repetition that brought
-- an earlier one back would bring back what was found under it.
local function turn(generation, token, life)
  redis.call('SET', generation, token .. '-' .. time[1] .. '-' .. time[2], 'PX', life)
end

