//! The address at which other daemons on the same store find this one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

/// How long ECS's agent, which is on this machine, may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of a task's metadata, its addresses.
#[derive(Debug, Deserialize)]
struct Metadata {
    #[serde(rename = "Networks", default)]
    networks: Vec<Network>,
}

#[derive(Debug, Deserialize)]
struct Network {
    #[serde(rename = "IPv4Addresses", default)]
    addresses: Vec<IpAddr>,
}

/// As the settings say, or the address that is listened on; where that is every address
/// there is, the task's own on ECS. Elsewhere it can't be known, and others can't pass on
/// to this one what they are asked.
pub(super) async fn url(
    settings: Option<&String>,
    listening: SocketAddr,
    http: &reqwest::Client,
) -> String {
    if let Some(url) = settings {
        return url.trim_end_matches('/').to_owned();
    }
    if !listening.ip().is_unspecified() {
        return format!("http://{listening}");
    }
    if let Some(address) = own_address(http).await {
        return format!("http://{}", SocketAddr::new(address, listening.port()));
    }
    tracing::warn!(
        "listening on every address: set `advertise` where several daemons share a store"
    );
    String::new()
}

async fn own_address(http: &reqwest::Client) -> Option<IpAddr> {
    let url = std::env::var("ECS_CONTAINER_METADATA_URI_V4").ok()?;
    let asked = http.get(url).timeout(PATIENCE).send().await;
    let metadata = match asked {
        Ok(response) => response.json::<Metadata>().await,
        Err(error) => Err(error),
    };
    match metadata {
        Ok(metadata) => metadata.networks.into_iter().flat_map(|network| network.addresses).next(),
        Err(error) => {
            tracing::warn!(%error, "ECS does not tell this task's address");
            None
        }
    }
}
