//! The parts of a request, and the headers by which its response tells browsers and caches what to do.

mod caching;
mod cross_origin;
mod cross_site;
mod hosts;
mod proxies;
mod refused;
mod targets;
mod token_header;
mod transport;
