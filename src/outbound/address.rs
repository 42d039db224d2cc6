//! Addresses that no name may lead to by itself: those of the host, of its link and of the
//! cloud's metadata. Private networks are not among them: services live there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata and agents of clouds outside the link-local range, each at one address.
const METADATA: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
];

/// What is special about `address`, in words; `None`: it may be asked.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    let address = plain(address);
    if METADATA.contains(&address) {
        return Some("the cloud's metadata");
    }
    match address {
        IpAddr::V4(v4) if v4.is_loopback() => Some("this host itself"),
        // 0.0.0.0/8 is "this network": systems take it for themselves.
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("this host itself"),
        IpAddr::V4(v4) if v4.is_link_local() => Some("link-local: the cloud's metadata"),
        IpAddr::V4(v4) if v4.is_multicast() || v4.is_broadcast() => Some("multicast"),
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => Some("this host itself"),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("link-local"),
        IpAddr::V6(v6) if v6.is_multicast() => Some("multicast"),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

/// The IPv4 address that an IPv6 one stands for (mapped, compatible, NAT64, 6to4), or itself.
pub(super) fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let four = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            four(high, low)
        }
        [0x2002, high, low, ..] => four(high, low),
        _ => address,
    }
}
