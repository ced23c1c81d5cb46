-- Prefix of every script. A lease is a ZSET of one `r:` token or any number of `w:` tokens, scored by their expiry in ms on this
-- server's clock.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function is_error(answer)
  return type(answer) == 'table' and answer.err
end

-- Removes expired tokens. A key of another type would fail every write: it is deleted, here and below.
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

-- Revokes readers' leases. Removes expired tokens too, so that they do not accumulate on keys that are never read.
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

-- Adds a token. The newest token always expires last, so the key expires with it.
local function add(lease, member, life)
  if is_error(redis.pcall('ZADD', lease, now + life, member)) then
    redis.call('DEL', lease)
    redis.call('ZADD', lease, now + life, member)
  end
  redis.call('PEXPIRE', lease, life)
end

-- Rotates the generation of a scope to an unused token, even if the same write repeats the call. If a late repetition restored an
-- earlier token, values stored under that token would be valid again.
local function rotate(generation, token, life)
  redis.call('SET', generation, token .. '-' .. time[1] .. '-' .. time[2], 'PX', life)
end

