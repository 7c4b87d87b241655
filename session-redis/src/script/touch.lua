-- Moves the expiry of a live session of the expected revision.
--
-- KEYS: the session. ARGV: the expected revision; milliseconds until the session expires. Answers 1: moved. 0: it is
-- not live, or has another revision. -1: the value is no frame.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local key = KEYS[1]
local expected, expires_in = unpack(ARGV)

local head = redis.call('GETRANGE', key, 0, 32)
if head == '' then return 0 end
if #head < 33 then return -1 end
if head:sub(1, 8) ~= expected then return 0 end
local expires_at, ends_at = struct.unpack('>I8I8', head, 9)
if expires_at <= now then return 0 end

expires_at = math.min(now + expires_in, ends_at)
-- PEXPIREAT comes first: a server whose memory is full refuses a SETRANGE unless the script has written before.
redis.call('PEXPIREAT', key, expires_at)
if expires_at > now then redis.call('SETRANGE', key, 8, struct.pack('>I8', expires_at)) end
return 1
