-- Makes a session, unless there is a live one.
--
-- KEYS: the session. ARGV: the frame; milliseconds until the session expires; milliseconds until it ends. With an owner
-- also the binding of its entry in the index, and perhaps `since`: milliseconds since 1970 on the clock of this server,
-- from before the entry was written. Answers 1: made. 0: there is a live one. {now}: nothing was done, because the
-- entry is more than a minute old.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local key = KEYS[1]
local frame, expires_in, ends_in, binding, since = unpack(ARGV)

if binding then
  local entered_at = since or struct.unpack('>I5', binding, 4) * 1000
  if now - entered_at > 60000 then return {now} end
end

if not redis.call('SET', key, frame, 'NX') then
  -- An expired session may still be here: after PERSIST, or restored without a time to live.
  local head = redis.pcall('GETRANGE', key, 0, 32)
  if type(head) ~= 'string' or #head < 33 then return 0 end
  local expires_at = struct.unpack('>I8', head, 9)
  if expires_at > now then return 0 end
  redis.call('SET', key, frame)
end

local ends_at = now + ends_in
local expires_at = math.min(now + expires_in, ends_at)
-- First the value, then the time to live. PEXPIREAT in the past removes the key, and a SETRANGE after that would make a
-- key that never expires.
redis.call('SETRANGE', key, 8, struct.pack('>I8I8', expires_at, ends_at) .. (binding or ''))
redis.call('PEXPIREAT', key, expires_at)
return 1
