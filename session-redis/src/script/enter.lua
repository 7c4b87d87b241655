-- Adds an entry to an owner's index, and returns its binding: the second half of the entry. `now` is the server's clock in
-- milliseconds.
--
-- Each run adds an entry of its own. A write that is sent twice therefore shortens and removes only its own entry.
local function enter(index, id, kept_for, now)
  -- -2: there is no index yet. -1: somebody has made it stay, by PERSIST.
  local lives_for = redis.call('PTTL', index)
  local second, binding = math.floor(now / 1000), nil
  repeat
    binding = struct.pack('>c3I5', 'at=', second)
    second = second + 1
  until redis.call('ZADD', index, 'NX', now + kept_for, id .. binding) == 1

  if lives_for ~= -2 then redis.call('ZREMRANGEBYSCORE', index, '-inf', now) end
  if lives_for ~= -1 and lives_for < tonumber(kept_for) then redis.call('PEXPIRE', index, kept_for) end
  return binding
end

