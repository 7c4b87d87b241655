//! A call of a script, and the frame that it writes.
//!
//! A script is slow with long arguments: Lua copies them, and most of the server's time goes there. So a long frame is
//! staged: the same message first writes it under a key of its own, and the script then renames that key. The staged key
//! is in the slot of the session, because a cluster runs a script only on keys of one slot. If the script never comes, the
//! staged frame expires with the call's time.

use std::{
    io::{self, Write},
    time::Duration,
};

use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, RedisWrite, ServerErrorKind, Value};
use session_core::{Entry, Namespace, StoreError};

use crate::{
    error::no_randomness,
    frame::{NewFrame, length, milliseconds},
    script::Lua,
};

/// The shortest frame that is staged, in bytes. Below it the second command costs more than Lua.
const LONG: usize = 8 * 1024;

/// A script, its key and its arguments.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) script: &'a Lua,
    pub(crate) key: &'a [u8],
    /// The other keys that the script writes.
    pub(crate) others: &'a [&'a [u8]],
    /// The frame that the script writes, if it writes one. Its parts come before the other arguments.
    pub(crate) frame: Option<&'a Sent<'a>>,
    pub(crate) arguments: &'a [&'a [u8]],
}

/// A frame on its way to the server.
pub(crate) struct Sent<'a> {
    frame: NewFrame<'a>,
    staged: Option<Staged>,
}

/// Where a long frame waits for its script, and for how many milliseconds.
struct Staged {
    key: Vec<u8>,
    lives_for: u64,
}

/// What is sent in one round trip.
pub(crate) enum Message {
    Call(Cmd),
    /// A `SET` of the frame, and then the script's call.
    Staged(Pipeline),
}

impl<'a> Sent<'a> {
    /// The frame of the session under this key. The timeout is that of the call.
    pub(crate) fn new(
        frame: NewFrame<'a>,
        prefix: &Namespace,
        session: &[u8],
        timeout: Duration,
    ) -> Result<Self, StoreError> {
        if frame.len() < LONG {
            return Ok(Self { frame, staged: None });
        }
        let random = getrandom::u64().map_err(no_randomness)?;
        // The slot of a key is that of the part in braces.
        let key = [prefix.as_str().as_bytes(), b":w:{", session, b"}:", format!("{random:016x}").as_bytes()].concat();
        Ok(Self { frame, staged: Some(Staged { key, lives_for: milliseconds(timeout).max(1) }) })
    }
}

impl Message {
    /// The commands of the message, for others to follow.
    pub(crate) fn into_pipeline(self) -> Pipeline {
        match self {
            Self::Call(command) => {
                let mut pipeline = Pipeline::with_capacity(3);
                pipeline.add_command(command);
                pipeline
            }
            Self::Staged(pipeline) => pipeline,
        }
    }
}

impl Call<'_> {
    /// Sends the call, and sends it again if the server has answered that it did nothing: it does not know the script, or
    /// the slot of the keys is being moved.
    pub(crate) async fn evaluate<T, F: Future<Output = RedisResult<T>>>(
        &self,
        send: impl Fn(Message) -> F,
    ) -> RedisResult<T> {
        let staged = self.frame.and_then(|sent| sent.staged.as_ref());
        match self.known(&send, staged).await {
            // Of two keys in a slot that is being moved, each may be on another node. A call on one key finds it.
            Err(error) if staged.is_some() && is_moving(&error) => self.known(&send, None).await,
            done => done,
        }
    }

    /// After `EVAL` the server knows the script.
    async fn known<T, F: Future<Output = RedisResult<T>>>(
        &self,
        send: impl Fn(Message) -> F,
        staged: Option<&Staged>,
    ) -> RedisResult<T> {
        match send(self.message("EVALSHA", &self.script.hash, staged)?).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                send(self.message("EVAL", self.script.text, staged)?).await
            }
            done => done,
        }
    }

    fn message(&self, name: &str, script: &str, staged: Option<&Staged>) -> RedisResult<Message> {
        let staged_key = staged.map(|staged| &staged.key[..]);
        let rest = self.frame.map(|sent| sent.frame.rest(staged.is_some()));
        let texts = [&[script.as_bytes(), self.key, staged_key.unwrap_or_default()][..], self.others, self.arguments];
        let bytes: usize =
            texts.into_iter().chain(rest.as_ref().map(|rest| &rest[..])).flatten().map(|text| text.len()).sum();
        // With room for all, as below. The rest is the name, the number of keys and the revision.
        let mut call = Cmd::with_capacity(7 + self.others.len() + self.arguments.len(), bytes + 32);
        call.arg(name).arg(script).arg(1 + self.others.len() + usize::from(staged.is_some()));
        call.arg(self.key).arg(self.others).arg(staged_key);
        if let (Some(Sent { frame, .. }), Some(rest)) = (self.frame, rest) {
            call.arg(frame.revision());
            add_joined(&mut call, rest)?;
        }
        call.arg(self.arguments);
        let (Some(Sent { frame, .. }), Some(staged)) = (self.frame, staged) else { return Ok(Message::Call(call)) };
        // With room for all: a command that grows would copy a long frame again.
        let mut set = Cmd::with_capacity(5, staged.key.len() + frame.len() + 32);
        set.arg("SET").arg(&staged.key);
        add_joined(&mut set, frame.parts())?;
        set.arg("PX").arg(staged.lives_for);
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.add_command(set).add_command(call);
        Ok(Message::Staged(pipeline))
    }
}

/// Adds an argument that is made of these parts.
fn add_joined(command: &mut Cmd, parts: [&[u8]; 2]) -> io::Result<()> {
    let mut argument = command.writer_for_next_arg();
    parts.into_iter().try_for_each(|part| argument.write_all(part))
}

/// Whether the frame of this entry has to be staged.
pub(crate) fn is_long(entry: &Entry<'_>) -> bool {
    length(entry) >= LONG
}

/// The answer to a script. A server that is not the master, or has no replica to write to, refuses each session's write in
/// the same way. So that is an error of the whole. Any other error within an answer belongs to its session.
pub(crate) fn whole(answer: Value) -> RedisResult<Value> {
    let refuses_all = |answer: &&Value| matches!(answer, Value::ServerError(error) if ["READONLY", "MASTERDOWN", "NOREPLICAS"].contains(&error.code()));
    match &answer {
        Value::Array(answers) => match answers.iter().find(refuses_all) {
            Some(refusal) => refusal.clone().extract_error(),
            None => Ok(answer),
        },
        _ => answer.extract_error(),
    }
}

/// The answer to the last command, unless an earlier one was refused.
pub(crate) fn last(answers: Vec<Value>) -> RedisResult<Value> {
    answers.into_iter().try_fold(Value::Nil, |_, answer| answer.extract_error())
}

fn is_moving(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain))
}
