//! What a response says: the headers, to browsers and to caches.

pub(crate) mod caching;
pub(crate) mod headers;
pub(crate) mod site_data;
pub(crate) mod transport;
