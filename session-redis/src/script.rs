//! What the server does in one step.
//!
//! Redis runs a script as a whole, and its clock stands still meanwhile. A script names the one key of its session or
//! owner, so that it runs on a cluster too.

use redis::Script;

/// Makes a script that begins by reading the clock, in milliseconds since 1970.
macro_rules! timed {
    ($text:literal) => {
        concat!("local t=redis.call('TIME') local now=t[1]*1000+math.floor(t[2]/1000)\n", $text)
    };
}

/// Id, milliseconds that the entry is kept: adds a session to its owner's. The second half of the entry.
///
/// Each run makes an entry of its own, so that none lives shorter for another's sake, and none is taken out for another.
/// An entry is taken out after its end here.
const INDEX: &str = timed!(
    "local at,bound=t[1]
repeat
  bound=struct.pack('>c3I5','at=',at)
  at=at+1
until redis.call('ZADD',KEYS[1],'NX',now+ARGV[2],ARGV[1]..bound)==1
redis.call('ZREMRANGEBYSCORE',KEYS[1],'-inf',now)
redis.call('PEXPIREAT',KEYS[1],redis.call('ZRANGE',KEYS[1],-1,-1,'WITHSCORES')[2])
return bound"
);

/// Frame, expires in, ends in, and with an owner: the second half of its entry, and perhaps an instant of this server
/// that is before the entry. 1: made; 0: there is one; this server's clock: nothing done, for the entry is over a minute old.
///
/// A key that is there may have expired all the same: it was told not to, or was restored without a time to live.
///
/// In this order of the writes, since a `SETRANGE` after a `SET` that is expired already would make a key that never is.
const CREATE: &str = timed!(
    "local b=ARGV[4]
if b and now-(ARGV[5] or struct.unpack('>I5',b,4)*1000)>60000 then return {now} end
if not redis.call('SET',KEYS[1],ARGV[1],'NX') then
  local h=redis.pcall('GETRANGE',KEYS[1],0,32)
  if type(h)~='string' or #h<33 or struct.unpack('>I8',h,9)>now then return 0 end
  redis.call('SET',KEYS[1],ARGV[1])
end
local e=now+ARGV[3]
local x=math.min(now+ARGV[2],e)
redis.call('SETRANGE',KEYS[1],8,struct.pack('>I8I8',x,e)..(b or ''))
redis.call('PEXPIREAT',KEYS[1],x)
return 1"
);

/// Expected revision, frame, and: nothing to keep the expiry; expires in; or expires in and ends in, with an owner followed
/// by what [`CREATE`] gets. 1: replaced; 0: not live, or of another revision; -1: no frame of ours; this server's clock:
/// nothing done, for the entry is over a minute old.
///
/// Without a new end the owner stays, too. It is the same in almost every write, so the frame that came is written as it
/// is, and only what is the server's to know is filled in: strings are slow to join here.
const REPLACE: &str = timed!(
    "if ARGV[5] and now-(ARGV[6] or struct.unpack('>I5',ARGV[5],4)*1000)>60000 then return {now} end
local h=redis.call('GETRANGE',KEYS[1],0,287)
if h=='' then return 0 end
if #h<33 or #h<33+h:byte(33) then return -1 end
if h:sub(1,8)~=ARGV[1] then return 0 end
local x,e=struct.unpack('>I8I8',h,9)
if x<=now then return 0 end
local f,b=ARGV[2],h:sub(25,32)
if ARGV[4] then
  e=now+ARGV[4]
  b=ARGV[5] or f:sub(1,8)
else
  local owner=h:sub(33,33+h:byte(33))
  local n=f:byte(33)
  if f:sub(33,33+n)~=owner then f=f:sub(1,32)..owner..f:sub(34+n) end
end
if ARGV[3] then
  x=math.min(now+ARGV[3],e)
  redis.call('SET',KEYS[1],f)
else
  redis.call('SET',KEYS[1],f,'KEEPTTL')
end
redis.call('SETRANGE',KEYS[1],8,struct.pack('>I8I8',x,e)..b)
if ARGV[3] then redis.call('PEXPIREAT',KEYS[1],x) end
return 1"
);

/// Expected revision, expires in. 1: moved; 0: not live, or of another revision; -1: no frame of ours.
///
/// In this order of the writes, since a full server refuses a `SETRANGE` unless something was written before it.
const TOUCH: &str = timed!(
    "local h=redis.call('GETRANGE',KEYS[1],0,32)
if h=='' then return 0 end
if #h<33 then return -1 end
if h:sub(1,8)~=ARGV[1] then return 0 end
local x,e=struct.unpack('>I8I8',h,9)
if x<=now then return 0 end
x=math.min(now+ARGV[2],e)
redis.call('PEXPIREAT',KEYS[1],x)
if x>now then redis.call('SETRANGE',KEYS[1],8,struct.pack('>I8',x)) end
return 1"
);

/// Expected revision or nothing, owner or nothing. The bound and the owner of what was deleted; nil: there is nothing; 0: not
/// live, or another's; -1: no frame of ours.
const DELETE: &str = timed!(
    "local h=redis.call('GETRANGE',KEYS[1],0,287)
if h=='' then return false end
if #h<33 or #h<33+h:byte(33) then return -1 end
if ARGV[1]~='' and h:sub(1,8)~=ARGV[1] then return 0 end
local o=h:sub(34,33+h:byte(33))
if ARGV[2]~='' and o~=ARGV[2] then return 0 end
if struct.unpack('>I8',h,9)<=now then return 0 end
redis.call('DEL',KEYS[1])
return h:sub(25,32)..o"
);

/// Keys of sessions, each followed by its entry: takes out the entries whose session is not there, or has another bound.
///
/// Where one server has all keys it judges and removes in one step. The store may have looked at a replica that lags behind:
/// that one refuses the removal, and its master judges again.
const PRUNE: &str = "for i=1,#ARGV,2 do
  if redis.call('GETRANGE',ARGV[i],24,31)~=ARGV[i+1]:sub(17) then redis.call('ZREM',KEYS[1],ARGV[i+1]) end
end
return 1";

/// For a cluster: a connection of the application's own may send commands that only read to replicas, which may lag behind.
#[cfg(feature = "cluster")]
pub(crate) const RANGE: &str = "return {redis.call('TIME'),redis.call('ZRANGE',KEYS[1],0,-1)}";

/// For a cluster, too, which a plain pipeline loses its way in while slots are moved.
#[cfg(feature = "cluster")]
pub(crate) const LOAD: &str = "return {redis.call('TIME'),redis.call('GET',KEYS[1])}";

/// A script by its hash, and as it is sent to a server that does not know it.
#[derive(Debug)]
pub(crate) struct Lua {
    pub(crate) text: &'static str,
    pub(crate) hash: String,
}

impl Lua {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, hash: Script::new(text).get_hash().to_owned() }
    }
}

/// The scripts of a store.
#[derive(Debug)]
pub(crate) struct Scripts {
    pub(crate) index: Lua,
    pub(crate) create: Lua,
    pub(crate) replace: Lua,
    pub(crate) touch: Lua,
    pub(crate) delete: Lua,
    pub(crate) prune: Lua,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            index: Lua::new(INDEX),
            create: Lua::new(CREATE),
            replace: Lua::new(REPLACE),
            touch: Lua::new(TOUCH),
            delete: Lua::new(DELETE),
            prune: Lua::new(PRUNE),
        }
    }
}
