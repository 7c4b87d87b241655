-- Makes a session, unless there is a live one.
--
-- KEYS: the session. Where this script writes the entry of the owner's index, also the index. If the frame is staged,
-- also the key of the staged frame.
-- ARGV: the revision; the frame from the owner's length on, or if it is staged up to the payload; milliseconds until the
-- session expires; milliseconds until it ends. With an owner also, where this script writes the entry, '', '', the
-- session's id and the milliseconds that the entry is kept. Elsewhere the binding of the entry, and perhaps `since`:
-- milliseconds since 1970 on the clock of this server, from before the entry was written.
-- Answers 1: made. 0: there is a live one. {now}: nothing was done, because the entry is more than a minute old. -2:
-- this run did nothing, because the staged frame is gone.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local revision, rest, expires_in, ends_in, binding, since, id, kept_for = unpack(ARGV)
local key, index = KEYS[1], id and KEYS[2]
local staged = KEYS[index and 3 or 2]

if binding and not index then
  local entered_at = since or struct.unpack('>I5', binding, 4) * 1000
  if now - entered_at > 60000 then return refuse(staged, {now}) end
end

local head = redis.pcall('GETRANGE', key, '0', '32')
if head ~= '' then
  -- An expired session may still be here: after PERSIST, or restored without a time to live.
  if type(head) ~= 'string' or #head < 33 then return refuse(staged, 0) end
  local expires_at = struct.unpack('>I8', head, 9)
  if expires_at > now then return refuse(staged, 0) end
end

if index then
  if is_gone(staged) then return -2 end
  binding = enter(index, id, kept_for, now)
end
local ends_at = now + ends_in
local expires_at = math.min(now + expires_in, ends_at)
local middle = struct.pack('>I8I8', expires_at, ends_at) .. (binding or revision)
if staged then
  local failed = take(staged, key)
  if failed then return failed end
  redis.call('SETRANGE', key, '8', middle)
  -- The time to live comes last. PEXPIREAT in the past removes the key, and a SETRANGE after that would make a key that
  -- never expires.
  redis.call('PEXPIREAT', key, expires_at)
  return 1
end
return set(key, revision .. middle .. rest, expires_in, expires_at, ends_at, now)
