//! The layer on the kit for adapters: under axum, and under bare hyper.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "axum")]
#[path = "adapter/axum.rs"]
mod under_axum;
#[path = "adapter/hyper.rs"]
mod under_hyper;

use futures_util::{Stream, stream};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use session_conformance::adapter;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The marker of the session beside the site's own.
struct Second;

fn chunks(body: adapter::Stream) -> impl Stream<Item = Vec<u8>> {
    stream::unfold(body, |mut body| async { body.next().await.map(|chunk| (chunk, body)) })
}

/// Passes messages of the connection to the socket, and its answers back.
fn talk(mut socket: adapter::Socket, upgrade: OnUpgrade) {
    tokio::spawn(async move {
        // None comes where the save has failed.
        let Ok(upgraded) = upgrade.await else { return };
        let mut connection = TokioIo::new(upgraded);
        let mut bytes = [0; 256];
        while let Ok(count @ 1..) = connection.read(&mut bytes).await {
            connection.write_all(&socket.hear(&bytes[..count]).await).await.unwrap();
        }
    });
}
