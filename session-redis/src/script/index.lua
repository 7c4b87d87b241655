-- Adds an entry to an owner's index, before the session itself is written.
--
-- KEYS: the owner's index.
-- ARGV: the session's id; milliseconds that the entry is kept.
-- Answers the binding: the second half of the entry.
--
-- Each run adds an entry of its own. A write that is sent twice therefore shortens and removes only its own entry.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local index = KEYS[1]
local id, kept_for = unpack(ARGV)

local second, binding = time[1], nil
repeat
  binding = struct.pack('>c3I5', 'at=', second)
  second = second + 1
until redis.call('ZADD', index, 'NX', now + kept_for, id .. binding) == 1

redis.call('ZREMRANGEBYSCORE', index, '-inf', now)
local last = redis.call('ZRANGE', index, -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', index, last[2])
return binding
