//! What a store may know of a session before it has room for it.

/// Whom a new session is for: a hint for a store that has little room left. A store may ignore it.
///
/// Visitors can fill a store of limited size within minutes. A store that keeps some room for what serves a login still
/// lets users log in then, and still lets them log out everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// A visitor. A nearly full store may refuse it.
    #[default]
    Visit,
    /// A login, one that is about to begin, or the revocation of a user's sessions.
    Login,
}
