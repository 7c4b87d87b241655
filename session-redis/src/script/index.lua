-- Adds an entry to an owner's index, before the session itself is written. For a cluster, where the two are on different
-- nodes.
--
-- KEYS: the owner's index.
-- ARGV: the session's id; milliseconds that the entry is kept.
-- Answers the binding of the entry.

local id, kept_for = unpack(ARGV)
return enter(KEYS[1], id, kept_for)
