-- KEYS: each key followed by its lease, except for generations, which have none. ARGV: token, the time to live of a fence in ms,
-- that of a generation, and for each key 'delete', 'mark' or 'rotate'.
local writer = 'w:' .. ARGV[1]

local function fence(key, lease, mode)
  add(lease, writer, ARGV[2])
  drop_readers(lease)
  if mode == 'delete' or is_error(redis.pcall('LPUSHX', key, '{"fence":"' .. ARGV[1] .. '"}')) then
    redis.call('DEL', key)
  end
end

local at = 1
for i = 4, #ARGV do
  if ARGV[i] == 'rotate' then
    rotate(KEYS[at], ARGV[1], ARGV[3])
    at = at + 1
  else
    fence(KEYS[at], KEYS[at + 1], ARGV[i])
    at = at + 2
  end
end
return 1
