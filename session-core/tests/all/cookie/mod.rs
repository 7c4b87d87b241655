//! Cookies: their attributes and scopes, what signs them, and several of them in one request.

mod attributes;
mod cookies;
mod development;
mod keys;
mod mixtures;
mod random;
mod scopes;
mod several;
mod several_ended;
