//! HTTP clients on loopback.

/// A client that goes through no proxy. Also installs the program's one TLS provider when none
/// is there yet: reqwest asks for it even when it speaks plain HTTP only.
pub fn client_builder() -> reqwest::ClientBuilder {
    // An error says that there is one already.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder().no_proxy()
}
