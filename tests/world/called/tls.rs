//! TLS as a server, by certificates of an authority of the tests' own.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};

/// Whoever knows this authority believes both certificates.
pub const AUTHORITY: &str = include_str!("mail_keys/authority.pem");
/// For `localhost`, 127.0.0.1 and 127.0.0.2.
pub const HERE: &str = include_str!("mail_keys/here.pem");
/// For another host.
pub const ELSEWHERE: &str = include_str!("mail_keys/elsewhere.pem");
const KEY: &str = include_str!("mail_keys/key.pem");

const ROOM: usize = 16 * 1024;

/// A server's side with this certificate.
pub fn server(certificate: &str) -> Arc<ServerConfig> {
    let chain =
        vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(KEY.as_bytes()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.expect("they fit"))
}

/// What is said over `wire` within TLS. It ends where TLS breaks.
pub fn wrapped<W>(wire: W, config: Arc<ServerConfig>) -> DuplexStream
where
    W: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (ours, theirs) = duplex(ROOM);
    // A client that does not believe us is its own affair.
    tokio::spawn(async move { drop(pump(wire, theirs, config).await) });
    ours
}

async fn pump<W>(mut wire: W, mut plain: DuplexStream, config: Arc<ServerConfig>) -> io::Result<()>
where
    W: AsyncRead + AsyncWrite + Send + Unpin,
{
    let mut tls = ServerConnection::new(config).map_err(io::Error::other)?;
    let (mut sealed, mut words) = (vec![0; ROOM], vec![0; ROOM]);
    let mut broken = None;
    loop {
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out)?;
        }
        wire.write_all(&out).await?;
        if let Some(error) = broken {
            return Err(io::Error::other(error));
        }
        tokio::select! {
            read = wire.read(&mut sealed) => {
                let mut bytes = &sealed[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                while !bytes.is_empty() && broken.is_none() {
                    tls.read_tls(&mut bytes)?;
                    // The alert that says why goes out first.
                    broken = tls.process_new_packets().err();
                }
                let mut text = Vec::new();
                // That there is no more of it yet is an error here.
                let _ = tls.reader().read_to_end(&mut text);
                plain.write_all(&text).await?;
            }
            read = plain.read(&mut words) => {
                let count = read?;
                if count == 0 {
                    return Ok(());
                }
                tls.writer().write_all(&words[..count])?;
            }
        }
    }
}
