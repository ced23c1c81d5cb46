-- Stands before each script. KEYS[1] is the value, KEYS[2] its lease: a ZSET of one `r:` or any number of `w:` tokens, scored
-- by when they expire in ms on this server's clock.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- Without what has expired; what is no ZSET is none of ours and would fail every write of the key.
local function sweep()
  local swept = redis.pcall('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if type(swept) == 'table' and swept.err then
    redis.call('DEL', KEYS[2])
  end
end

local function has(kind)
  for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    if string.sub(member, 1, 2) == kind then
      return true
    end
  end
  return false
end

local function drop_readers()
  for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    if string.sub(member, 1, 2) == 'r:' then
      redis.call('ZREM', KEYS[2], member)
    end
  end
end

-- The newest member always expires last, so the key lives as long as it does.
local function add(member, life)
  redis.call('ZADD', KEYS[2], now + life, member)
  redis.call('PEXPIRE', KEYS[2], life)
end

