-- Writes a frame that expires at `expires_at`, and returns 1 or the error. `expires_in` is nil if the expiry stays.
local function set(key, frame, expires_in, expires_at, ends_at, now)
  local done
  if expires_in and expires_at > now and expires_at + 1000 < ends_at then
    -- The relative time is a text already. But it may end a moment after the time in the frame, and no key outlives the
    -- session's end.
    done = redis.pcall('SET', key, frame, 'PX', expires_in)
  else
    done = redis.pcall('SET', key, frame, 'PXAT', expires_at)
  end
  return done.ok and 1 or done
end
