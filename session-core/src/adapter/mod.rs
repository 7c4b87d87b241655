//! For who writes an adapter to a framework: what is the same under each.

mod log;
mod opened;

pub use self::{
    log::{Kind, tell, tell_suppressed},
    opened::{LayerName, LayersError, Opened, OpenedExchange},
};
