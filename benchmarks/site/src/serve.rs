//! Serves a site. The sites of tower-sessions use this file, too.

use axum::{Router, serve::ListenerExt};
use tokio::{net::TcpListener, runtime::Builder};

/// Serves on a free port, and prints the port.
pub(crate) fn run(site: impl Future<Output = Router>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let site = site.await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let without_delay = listener.tap_io(|stream| stream.set_nodelay(true).unwrap());
        axum::serve(without_delay, site).await.unwrap();
    });
}
