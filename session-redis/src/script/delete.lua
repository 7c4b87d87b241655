-- Deletes a live session, if it has the expected revision and owner.
--
-- KEYS: the session. ARGV: the expected revision, or '' for any; the expected owner, or '' for any. Answers the binding
-- and then the owner of the deleted session. nil: there is none. 0: it is not live, or has another revision or owner.
-- -1: the value is no frame.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local key = KEYS[1]
local expected, expected_owner = unpack(ARGV)

-- The longest head: 33 bytes, and an owner of 255.
local head = redis.call('GETRANGE', key, '0', '287')
if head == '' then return false end
if #head < 33 or #head < 33 + head:byte(33) then return -1 end
if expected ~= '' and head:sub(1, 8) ~= expected then return 0 end
local owner = head:sub(34, 33 + head:byte(33))
if expected_owner ~= '' and owner ~= expected_owner then return 0 end
local expires_at = struct.unpack('>I8', head, 9)
if expires_at <= now then return 0 end

redis.call('DEL', key)
return head:sub(25, 32) .. owner
