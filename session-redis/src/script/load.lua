-- Reads a session, and the server's clock before that.
--
-- KEYS: the session.
-- Answers {time, frame}, or {time, nil} if there is none.
--
-- For a cluster. A plain pipeline goes to the wrong node while a slot is moved.

return {redis.call('TIME'), redis.call('GET', KEYS[1])}
