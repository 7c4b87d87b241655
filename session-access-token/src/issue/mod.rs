//! Minting: what needs the sessions.

mod error;
mod keys;
mod session;
mod token;
mod tokens;

pub use self::{
    error::IssueError,
    keys::{SigningKey, SigningKeys},
    session::AccessTokenExt,
    token::AccessToken,
    tokens::AccessTokens,
};
