-- Takes entries out of an owner's index if their session is gone, or has another binding.
--
-- KEYS: the owner's index.
-- ARGV: pairs of a session's key and its entry.
-- Answers 1.
--
-- Only for servers that hold all keys, because the sessions' keys are among the arguments. The script looks again and
-- removes in one step: the store may have looked at a replica that lags behind. A replica refuses to remove, so the
-- master is the one that looks.

local index = KEYS[1]
for position = 1, #ARGV, 2 do
  local session, entry = ARGV[position], ARGV[position + 1]
  local binding = entry:sub(17)
  if redis.call('GETRANGE', session, '24', '31') ~= binding then
    redis.call('ZREM', index, entry)
  end
end
return 1
