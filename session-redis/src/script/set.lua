-- Writes a frame that expires at `expires_at`. `expires_in` is nil if the expiry stays.
local function set(key, frame, expires_in, expires_at, ends_at, now)
  if expires_in and expires_at > now and expires_at + 1000 < ends_at then
    -- The relative time is a text already. But it may end a moment after the time in the frame, and no key outlives the
    -- session's end.
    redis.call('SET', key, frame, 'PX', expires_in)
  else
    redis.call('SET', key, frame, 'PXAT', expires_at)
  end
end

