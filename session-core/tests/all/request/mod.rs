//! What a request brings along, and what its response tells browsers and caches.

mod caching;
mod cross_site;
mod proxies;
mod refused;
mod targets;
mod token_header;
mod transport;
