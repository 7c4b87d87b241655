//! Whether a statement is sent again after an error.
//!
//! session-mysql has the same file. `cargo xtask check` holds the two together.

/// How often a statement looks for a server that takes writes. Most often the address still leads to the same one.
const ELSEWHERE: u32 = 2;

/// What may follow an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing was done, and the statement may be sent again.
    SendAgain,
    /// The connection cannot be used any more: it was cut, or the server has said that it ends it.
    Reconnect,
    /// This server takes no writes, and has done nothing. The address may lead to another one by now.
    LookElsewhere,
    /// It is the answer.
    Answer,
}

impl Then {
    /// Whether the connection is not used any more.
    pub(crate) fn gives_up_the_connection(self) -> bool {
        matches!(self, Self::Reconnect | Self::LookElsewhere)
    }
}

/// How often a statement was sent over another connection.
#[derive(Debug, Default)]
pub(crate) struct Again {
    cut: u32,
    elsewhere: u32,
}

impl Again {
    /// Whether it is sent again. A write whose connection was cut may have been applied, so it is not.
    ///
    /// An application's pool, of this many connections, may lack the hook. Then a read finds one cut connection after the
    /// other.
    pub(crate) fn after(&mut self, then: Then, is_write: bool, connections: u32) -> bool {
        match then {
            Then::SendAgain => true,
            Then::Reconnect => {
                self.cut += 1;
                !is_write && self.cut <= connections
            }
            Then::LookElsewhere => {
                self.elsewhere += 1;
                self.elsewhere <= ELSEWHERE
            }
            Then::Answer => false,
        }
    }
}
