-- Adds an entry to an owner's index, and returns its binding: the second half of the entry. `now` is the server's clock in
-- milliseconds.
--
-- Each run adds an entry of its own. A write that is sent twice therefore shortens and removes only its own entry.
local function enter(index, id, kept_for, now)
  local second, binding = math.floor(now / 1000), nil
  repeat
    binding = struct.pack('>c3I5', 'at=', second)
    second = second + 1
  until redis.call('ZADD', index, 'NX', now + kept_for, id .. binding) == 1

  redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
  local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', index, last[2])
  return binding
end

