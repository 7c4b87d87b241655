-- Replaces or touches live sessions of the expected revisions, one after the other. Each keeps its end, its binding and its
-- owner.
--
-- KEYS: the sessions. One may be there several times.
-- ARGV: for each of them the expected revision; the new revision, or '' for a touch; the new payload; milliseconds until
-- the session expires, or '' to keep the expiry.
-- Answers for each of them 1: done. 0: it is not live, or has another revision. -1: the value is no frame. An error belongs
-- to its session alone.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function update(key, expected, revision, payload, expires_in)
  -- The longest head: 33 bytes, and an owner of 255.
  local head = redis.call('GETRANGE', key, '0', '287')
  if head == '' then return 0 end
  if #head < 33 or #head < 33 + head:byte(33) then return -1 end
  if head:sub(1, 8) ~= expected then return 0 end
  local expires_at, ends_at = struct.unpack('>I8I8', head, 9)
  if expires_at <= now then return 0 end
  local head_length = 33 + head:byte(33)
  if expires_in == '' then
    redis.call('SET', key, revision .. head:sub(9, head_length) .. payload, 'KEEPTTL')
    return 1
  end

  expires_at = math.min(now + expires_in, ends_at)
  if revision == '' then
    -- PEXPIREAT comes first: a server whose memory is full refuses a SETRANGE unless the script has written before. It
    -- deletes a session whose time is up by then. A SETRANGE would make a key of the rest, which never expires.
    redis.call('PEXPIREAT', key, expires_at)
    if redis.call('GETRANGE', key, '0', '0') ~= '' then
      redis.call('SETRANGE', key, '8', struct.pack('>I8', expires_at))
    end
  else
    local frame = revision .. struct.pack('>I8', expires_at) .. head:sub(17, head_length) .. payload
    set(key, frame, expires_in, expires_at, ends_at, now)
  end
  return 1
end

local answers = {}
for position, key in ipairs(KEYS) do
  local last = 4 * position
  local is_done, answer = pcall(update, key, ARGV[last - 3], ARGV[last - 2], ARGV[last - 1], ARGV[last])
  if not is_done and type(answer) ~= 'table' then answer = redis.error_reply(answer) end
  answers[position] = answer
end
return answers
