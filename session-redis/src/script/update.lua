-- Replaces or touches live sessions of the expected revisions, one after the other. Each keeps its end, its binding and its
-- owner.
--
-- KEYS: the sessions. One may be there several times.
-- ARGV: for each of them the expected revision; the new revision, or '' for a touch; the new payload; milliseconds until
-- the session expires, or '' to keep the expiry.
-- Answers 1: done. 0: it is not live, or has another revision. -1: the value is no frame. For several sessions it is a list
-- of the answers, and an error of a command belongs to its session alone.

-- It returns an error, and raises none: the sessions that follow have their turn.
local try = redis.pcall

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function touch(key, expires_at)
  -- PEXPIREAT comes first: a server whose memory is full refuses a SETRANGE unless the script has written before. It
  -- deletes a session whose time is up by then. A SETRANGE would make a key of the rest, which never expires.
  local done = try('PEXPIREAT', key, expires_at)
  if type(done) == 'number' and try('GETRANGE', key, '0', '0') ~= '' then
    done = try('SETRANGE', key, '8', struct.pack('>I8', expires_at))
  end
  return type(done) == 'number' and 1 or done
end

local function update(key, expected, revision, payload, expires_in)
  -- The longest head: 33 bytes, and an owner of 255.
  local head = try('GETRANGE', key, '0', '287')
  if head == '' then return 0 end
  if type(head) ~= 'string' then return head end
  local head_length = 33 + (head:byte(33) or 0)
  if #head < head_length then return -1 end
  local found, expires_at, ends_at = struct.unpack('>c8I8I8', head)
  if found ~= expected or expires_at <= now then return 0 end

  if expires_in == '' then
    local done = try('SET', key, revision .. head:sub(9, head_length) .. payload, 'KEEPTTL')
    return done.ok and 1 or done
  end
  expires_at = math.min(now + expires_in, ends_at)
  if revision == '' then return touch(key, expires_at) end
  local frame = revision .. struct.pack('>I8', expires_at) .. head:sub(17, head_length) .. payload
  return set(key, frame, expires_in, expires_at, ends_at, now)
end

if #KEYS == 1 then return update(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4]) end
local answers = {}
for position, key in ipairs(KEYS) do
  local last = 4 * position
  answers[position] = update(key, ARGV[last - 3], ARGV[last - 2], ARGV[last - 1], ARGV[last])
end
return answers
