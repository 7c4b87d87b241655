//! Which layers have opened an exchange for a request, so that one inside another opens no second one for the same cookie.

use std::{any::TypeId, error::Error, fmt, panic::Location, sync::Arc};

use crate::{Exchange, JoinError, SessionManager};
use http::Extensions;

/// What layers inside find in the extensions of a request.
#[derive(Clone, Debug, Default)]
pub struct Opened(Vec<OpenedExchange>);

/// An exchange, and the layer that has opened it.
#[derive(Clone, Debug)]
pub struct OpenedExchange {
    /// The layer.
    pub layer: LayerName,
    /// Whose sessions it has.
    pub manager: SessionManager,
    /// What it has opened.
    pub exchange: Exchange,
}

/// How a layer is called in a log.
#[derive(Clone, Copy, Debug)]
pub struct LayerName {
    marker: TypeId,
    marker_name: &'static str,
    made_at: &'static Location<'static>,
}

impl Opened {
    /// Takes note of an exchange, for the layers inside.
    pub fn note(extensions: &mut Extensions, opened: OpenedExchange) {
        extensions.get_or_insert_default::<Self>().0.push(opened);
    }

    /// The exchange that a layer around this one has opened for its cookie. It goes on under this layer's manager.
    ///
    /// # Errors
    ///
    /// The two cannot have one cookie.
    pub fn join(
        extensions: &Extensions,
        layer: LayerName,
        manager: &SessionManager,
    ) -> Result<Option<Exchange>, LayersError> {
        let opened = extensions.get::<Self>().map(|opened| &*opened.0).unwrap_or_default();
        let cookie = manager.cookie().name();
        let Some(outer) = opened.iter().find(|outer| outer.manager.cookie().name() == cookie) else { return Ok(None) };
        let joined = match outer.layer.marker == layer.marker {
            true => outer.exchange.join(manager).map_err(Some),
            false => Err(None),
        };
        match joined {
            Ok(()) => Ok(Some(outer.exchange.clone())),
            Err(why) => Err(LayersError { cookie: cookie.into(), outer: outer.layer, inner: layer, why }),
        }
    }
}

impl LayerName {
    /// The layer with the marker `K`, made at this place of the program.
    #[must_use]
    pub fn new<K: 'static>(made_at: &'static Location<'static>) -> Self {
        Self { marker: TypeId::of::<K>(), marker_name: std::any::type_name::<K>(), made_at }
    }
}

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionLayer<{}> made at {}", self.marker_name, self.made_at)
    }
}

/// Two layers, one inside the other, have a cookie of one name that cannot be one cookie.
#[derive(Clone, Debug)]
pub struct LayersError {
    cookie: Arc<str>,
    outer: LayerName,
    inner: LayerName,
    /// `None`: their markers.
    why: Option<JoinError>,
}

impl fmt::Display for LayersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cookie, outer, inner, why } = self;
        write!(f, "two session layers have a cookie `{cookie}`, but ")?;
        match why {
            Some(why) => write!(f, "{why}")?,
            None => f.write_str("their markers are two: the session of one would be that of the other")?,
        }
        write!(f, "; outside {outer}, inside {inner}")
    }
}

impl Error for LayersError {}
