-- Replaces a live session of the expected revision.
--
-- KEYS: the session. ARGV: the expected revision; the new frame. To move the expiry also milliseconds until the session
-- expires. For a new lifetime also milliseconds until it ends. With an owner, `binding` and `since` follow as in
-- create.lua. Answers 1: replaced. 0: it is not live, or has another revision. -1: the value is no frame. {now}:
-- nothing was done, because the entry is more than a minute old.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local key = KEYS[1]
local expected, frame, expires_in, ends_in, binding, since = unpack(ARGV)

if binding then
  local entered_at = since or struct.unpack('>I5', binding, 4) * 1000
  if now - entered_at > 60000 then return {now} end
end

-- The longest head: 33 bytes, and an owner of 255.
local head = redis.call('GETRANGE', key, 0, 287)
if head == '' then return 0 end
if #head < 33 or #head < 33 + head:byte(33) then return -1 end
if head:sub(1, 8) ~= expected then return 0 end
local expires_at, ends_at = struct.unpack('>I8I8', head, 9)
if expires_at <= now then return 0 end

if ends_in then
  ends_at = now + ends_in
  binding = binding or frame:sub(1, 8)
else
  -- Without a new lifetime the session keeps its owner. The frame almost always has the same one, and is then written as
  -- it came: Lua is slow to join long strings.
  binding = head:sub(25, 32)
  local owner = head:sub(33, 33 + head:byte(33))
  local length = frame:byte(33)
  if frame:sub(33, 33 + length) ~= owner then
    frame = frame:sub(1, 32) .. owner .. frame:sub(34 + length)
  end
end

if expires_in then
  expires_at = math.min(now + expires_in, ends_at)
  redis.call('SET', key, frame)
else
  redis.call('SET', key, frame, 'KEEPTTL')
end
redis.call('SETRANGE', key, 8, struct.pack('>I8I8', expires_at, ends_at) .. binding)
if expires_in then redis.call('PEXPIREAT', key, expires_at) end
return 1
