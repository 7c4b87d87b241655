//! What a response says: the headers, to browsers and to caches.

mod caching;
mod headers;
mod site_data;
mod transport;

pub(crate) use self::{caching::Privacy, transport::PlainHttpLog};
pub use self::{headers::HeaderChange, site_data::SiteData, transport::PlainHttp};
