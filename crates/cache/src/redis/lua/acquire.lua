-- KEYS: the value, its lease.
-- ARGV: token, its time to live in ms, 'one' or 'list', the maximum list length, the shape of the unusable value that the caller
-- found ('none', 'one' or 'list'), and its elements. Returns {1, value}, {0} if a write is under way, or {2} if the lease is acquired.
local list = ARGV[3] == 'list'

local function same(value)
  if ARGV[5] ~= ARGV[3] then
    return false
  end
  if not list then
    return value == ARGV[6]
  end
  if #value ~= #ARGV - 5 then
    return false
  end
  for i, element in ipairs(value) do
    if element ~= ARGV[i + 5] then
      return false
    end
  end
  return true
end

sweep(KEYS[2])
local busy = has(KEYS[2], 'w:')
local value
if list then
  value = redis.pcall('LRANGE', KEYS[1], 0, ARGV[4] - 1)
else
  value = redis.pcall('GET', KEYS[1])
end
if type(value) == 'table' and value.err then
  redis.call('DEL', KEYS[1])
elseif value and not (list and #value == 0) then
  if not same(value) then
    return {1, value}
  end
  -- A list under the mark of a write in progress is a miss, but it stays: that write will append to it.
  if not (busy and list and string.sub(value[1], 1, 10) == '{"fence":"') then
    redis.call('DEL', KEYS[1])
  end
end
if busy then
  return {0}
end
drop_readers(KEYS[2])
add(KEYS[2], 'r:' .. ARGV[1], ARGV[2])
return {2}
