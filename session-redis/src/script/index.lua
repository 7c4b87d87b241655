-- Adds an entry to an owner's index, before the session itself is written. For a cluster, where the two are on different
-- nodes.
--
-- KEYS: the owner's index.
-- ARGV: the session's id; milliseconds that the entry is kept.
-- Answers the binding of the entry.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local id, kept_for = unpack(ARGV)
return enter(KEYS[1], id, kept_for, now)
