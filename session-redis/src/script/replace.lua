-- Replaces a live session of the expected revision.
--
-- KEYS: the session. Where this script writes the entry of the owner's index, also the index. If the new frame is staged,
-- also the key of the staged frame.
-- ARGV: the new revision; the new frame from the owner's length on, or if it is staged up to the payload; the expected
-- revision. To move the expiry also milliseconds until the session expires. For a new lifetime also milliseconds until it
-- ends, and with an owner the same as in create.lua.
-- Answers 1: replaced. 0: it is not live, or has another revision. -1: the value is no frame. {now}: nothing was done,
-- because the entry is more than a minute old. -2: this run did nothing, because the staged frame is gone.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local revision, rest, expected, expires_in, ends_in, binding, since, id, kept_for = unpack(ARGV)
local key, index = KEYS[1], id and KEYS[2]
local staged = KEYS[index and 3 or 2]

if binding and not index then
  local entered_at = since or struct.unpack('>I5', binding, 4) * 1000
  if now - entered_at > 60000 then return refuse(staged, {now}) end
end

-- The longest head: 33 bytes, and an owner of 255.
local head = redis.pcall('GETRANGE', key, '0', '287')
if head == '' then return refuse(staged, 0) end
if type(head) ~= 'string' then return refuse(staged, head) end
if #head < 33 or #head < 33 + head:byte(33) then return refuse(staged, -1) end
if head:sub(1, 8) ~= expected then return refuse(staged, 0) end
local expires_at, ends_at = struct.unpack('>I8I8', head, 9)
if expires_at <= now then return refuse(staged, 0) end

local bound = ''
if ends_in then
  ends_at = now + ends_in
  if index then
    if is_gone(staged) then return -2 end
    binding = enter(index, id, kept_for, now)
  end
  bound = binding or revision
else
  -- Without a new lifetime the session keeps its owner. The frame almost always has the same one.
  local owner = head:sub(33, 33 + head:byte(33))
  bound = head:sub(25, 32) .. owner
  local length = rest:byte(1)
  if staged and length + 1 ~= #owner then
    rest = redis.call('GETRANGE', staged, '32', '-1')
    if redis.call('DEL', staged) == 0 then return -2 end
    staged = nil
  end
  rest = rest:sub(2 + length)
end
if expires_in then expires_at = math.min(now + expires_in, ends_at) end

local middle = struct.pack('>I8I8', expires_at, ends_at) .. bound
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
