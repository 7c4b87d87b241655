//! The process's TLS implementation.
//!
//! The stores over TLS have the same file. `cargo xtask check` holds them together.

/// Chooses one, if there is none. Where a program has two of them, the drivers panic without a choice: sqlx for a certificate
/// whose host it shall not look at (`verify-ca`), and redis at the first `rediss://`.
pub(crate) fn install() {
    #[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
    {
        #[cfg(feature = "tls-ring")]
        let provider = rustls::crypto::ring::default_provider();
        #[cfg(not(feature = "tls-ring"))]
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        // The application may have set one: it stays.
        let _ = provider.install_default();
    }
}
