-- A frame that is gone may have been written by an earlier run of the same call. So nobody knows what became of the write,
-- and the answer is -2, whatever the session is.

-- Whether there should be a staged frame, and is none.
local function is_gone(staged)
  return staged and redis.call('GETRANGE', staged, '0', '0') == ''
end

-- Removes the staged frame, if there is one, and returns the answer.
local function refuse(staged, answer)
  if staged and redis.call('DEL', staged) == 0 then return -2 end
  return answer
end

-- Makes the staged frame the session's. Returns the answer of a failure.
local function take(staged, key)
  local renamed = redis.pcall('RENAME', staged, key)
  if not renamed.err then return nil end
  return renamed.err:find('no such key', 1, true) and -2 or renamed
end
