-- ARGV: token, its life in ms, 'delete' or 'mark'.
sweep()
add('w:' .. ARGV[1], ARGV[2])
drop_readers()
if ARGV[3] == 'mark' then
  local marked = redis.pcall('LPUSHX', KEYS[1], '{"fence":"' .. ARGV[1] .. '"}')
  if type(marked) == 'table' and marked.err then
    redis.call('DEL', KEYS[1])
  end
else
  redis.call('DEL', KEYS[1])
end
return 1
