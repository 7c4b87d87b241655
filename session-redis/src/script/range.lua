-- Reads an owner's index, and the server's clock before that.
--
-- KEYS: the owner's index.
-- Answers {time, entries}.
--
-- For a cluster. The application's own connection may send a plain ZRANGE to a replica, which may lag behind.

return {redis.call('TIME'), redis.call('ZRANGE', KEYS[1], '0', '-1')}
