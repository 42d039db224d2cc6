//! Who reads and acts on the page beside whoever holds a token: people that a proxy has
//! logged in.

use std::net::IpAddr;

use anyhow::bail;
use ipnet::IpNet;
use reqwest::header::HeaderName;
use serde::Deserialize;
use serde::de::{Deserializer, Error};

use super::check::LEAST_SECRET;
use super::{Role, Secret, Settings};

/// What is said to another daemon of a person whom a proxy has logged in begins so.
pub const BY_PROXY: &str = "proxy:";
/// In a list of groups: whoever the proxy names.
const EVERYBODY: &str = "*";

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    expecting = "`{ proxy: { header: X-Forwarded-User, from: [10.0.0.7] } }`"
)]
pub struct WebSettings {
    pub proxy: Option<ProxySettings>,
}

/// A proxy in front that logs people in (OIDC, SAML) and names them in a header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, expecting = "`{ header: X-Forwarded-User, from: [10.0.0.7] }`")]
pub struct ProxySettings {
    /// The header with the person's name.
    pub header: String,
    /// Whose word is taken: addresses, or ranges of them. Whoever can reach the daemon from
    /// there is believed; from anywhere else the headers mean nothing.
    #[serde(deserialize_with = "ranges")]
    pub from: Vec<IpNet>,
    /// The header with the person's groups, parted by commas.
    #[serde(default)]
    pub groups_header: Option<String>,
    /// What the proxy must show as well, in the header `X-Deployguard-Proxy-Secret`.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// By default whoever the proxy names may read, and nobody may act.
    #[serde(default)]
    pub roles: Option<ProxyRoles>,
}

/// Which groups may do what; `*` is whoever the proxy names.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "`{ operate: [oncall], read: [\"*\"] }`")]
pub struct ProxyRoles {
    pub operate: Vec<String>,
    pub read: Vec<String>,
}

impl ProxySettings {
    /// Whether what comes from this address is believed.
    pub fn is_from(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.from.iter().any(|range| range.contains(&peer))
    }

    /// What somebody in these groups may do; `None`: nothing.
    pub fn role(&self, groups: &[String]) -> Option<Role> {
        let Some(roles) = &self.roles else { return Some(Role::Read) };
        let among =
            |named: &[String]| named.iter().any(|name| name == EVERYBODY || groups.contains(name));
        if among(&roles.operate) {
            Some(Role::Operate)
        } else {
            among(&roles.read).then_some(Role::Read)
        }
    }

    /// The names of the headers in which it says who somebody is.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.header).chain(&self.groups_header).map(String::as_str)
    }

    fn check(&self) -> anyhow::Result<()> {
        let headers = ["header", "groups_header"].into_iter().zip(self.headers());
        for (key, name) in headers {
            if HeaderName::try_from(name).is_err() {
                bail!("web.proxy.{key}: `{name}` is no name of a header: X-Forwarded-User");
            }
        }
        if self.from.is_empty() {
            bail!("web.proxy.from: name the addresses of the proxy: [10.0.0.7]");
        }
        if let Some(range) = self.from.iter().find(|range| range.prefix_len() == 0) {
            bail!("web.proxy.from: `{range}` is everybody: anyone could say who they are");
        }
        let short = |one: &Secret| one.expose().len() < LEAST_SECRET;
        if self.secret.as_ref().is_some_and(short) {
            bail!("web.proxy.secret: it is shorter than {LEAST_SECRET} characters");
        }
        let named = self.roles.iter().flat_map(|roles| roles.operate.iter().chain(&roles.read));
        if let Some(group) = named.into_iter().find(|name| *name != EVERYBODY)
            && self.groups_header.is_none()
        {
            bail!("web.proxy.roles: nobody is known to be in `{group}` without `groups_header`");
        }
        Ok(())
    }
}

impl Settings {
    pub(super) fn check_web(&self) -> anyhow::Result<()> {
        let Some(proxy) = &self.web.proxy else { return Ok(()) };
        proxy.check()?;
        if let Some(token) = self.tokens.iter().find(|token| token.name.starts_with(BY_PROXY)) {
            bail!("the token `{}`: with `web.proxy` no name begins with {BY_PROXY}", token.name);
        }
        Ok(())
    }
}

fn ranges<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    let range = |text: String| {
        let one = text.parse::<IpAddr>().map(IpNet::from).ok();
        text.parse::<IpNet>().ok().or(one).ok_or_else(|| {
            D::Error::custom(format!(
                "`{text}` is no range of addresses: write 10.0.0.7 or 10.0.0.0/29"
            ))
        })
    };
    texts.into_iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(text: &str) -> ProxySettings {
        serde_norway::from_str(text).unwrap()
    }

    #[test]
    fn a_proxy_is_believed_from_its_own_addresses_and_gives_roles_by_groups() {
        let one = proxy(
            "header: X-User\nfrom: [10.1.0.0/16, 192.0.2.7]\ngroups_header: X-Groups\n\
             roles: { operate: [oncall], read: [staff] }",
        );
        one.check().unwrap();
        let from = |text: &str| one.is_from(text.parse().unwrap());
        assert!(from("10.1.2.3") && from("192.0.2.7") && from("::ffff:10.1.2.3"));
        assert!(!from("10.2.0.1") && !from("192.0.2.8") && !from("::1"));
        let role =
            |names: &[&str]| one.role(&names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        assert_eq!(role(&["staff", "oncall"]), Some(Role::Operate));
        assert_eq!(role(&["staff"]), Some(Role::Read));
        assert_eq!(role(&["*"]), None, "a group of that name is none");
        assert_eq!(proxy("header: X-User\nfrom: [10.0.0.1]").role(&[]), Some(Role::Read));
    }

    #[test]
    fn a_proxy_that_would_believe_everybody_is_refused() {
        for (text, words) in [
            ("header: X-User\nfrom: []", "name the addresses"),
            ("header: X-User\nfrom: [0.0.0.0/0]", "is everybody"),
            ("header: X-User\nfrom: ['::/0']", "is everybody"),
            ("header: 'X User'\nfrom: [10.0.0.1]", "no name of a header"),
            ("header: X-User\nfrom: [10.0.0.1]\nroles: { operate: [oncall] }", "groups_header"),
        ] {
            let why = proxy(text).check().unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
        let short = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(short.path(), "fifteen letters").unwrap();
        let secret = format!("secret: {{ file: '{}' }}", short.path().display());
        let why = proxy(&format!("header: X-User\nfrom: [10.0.0.1]\n{secret}")).check();
        let why = why.unwrap_err().to_string();
        assert!(why.contains("web.proxy.secret: it is shorter than 16"), "{why}");
        let wrong = serde_norway::from_str::<ProxySettings>("header: X\nfrom: [ten]");
        assert!(wrong.unwrap_err().to_string().contains("`ten` is no range of addresses"));
    }
}
