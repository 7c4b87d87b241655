//! What a request brings: cookies and their keys, and where it comes from.

mod base64url;
mod cookie;
mod forwarded;
mod hosts;
mod incoming;
mod keyring;
mod login_page;
mod origin;
mod proxies;
mod read_headers;
mod read_tokens;
mod scope;
mod target;
mod token;
mod token_header;
mod trusted_origins;

pub use self::{
    cookie::{CookieConfig, CookieConfigBuilder, SameSite},
    hosts::Hosts,
    incoming::Incoming,
    keyring::{Key, Keyring, SignedToken},
    login_page::{LoginPage, Navigation},
    origin::WithheldReason,
    proxies::{Peer, ProxyHeader, TrustedProxies},
    scope::CookieScope,
    target::is_local_target,
    token::{InvalidSessionId, SessionId},
    token_header::TokenHeader,
    trusted_origins::TrustedOrigins,
};
pub(crate) use self::{
    forwarded::{ProxyHeaders, Word},
    hosts::{ChosenHost, HostError},
    incoming::Resource,
    keyring::{Carrier, CarrierKind, Keys},
    origin::{Arrival, OtherOrigin, Source, Withholding},
    proxies::UnknownPeerLog,
    read_headers::ReadHeaders,
    read_tokens::ReadTokens,
    token::{SecretHash, SessionSecret, SessionToken, random},
};
