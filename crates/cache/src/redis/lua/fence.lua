-- KEYS: one after the other, each with its lease behind it, but for a generation. ARGV: token, the life of a fence in ms, that of
-- a generation, and for each key 'delete', 'mark' or 'turn'.
local writer = 'w:' .. ARGV[1]

local function fence(key, lease, how)
  add(lease, writer, ARGV[2])
  drop_readers(lease)
  if how == 'delete' or is_error(redis.pcall('LPUSHX', key, '{"fence":"' .. ARGV[1] .. '"}')) then
    redis.call('DEL', key)
  end
end

local at = 1
for i = 4, #ARGV do
  if ARGV[i] == 'turn' then
    turn(KEYS[at], ARGV[1], ARGV[3])
    at = at + 1
  else
    fence(KEYS[at], KEYS[at + 1], ARGV[i])
    at = at + 2
  end
end
return 1
