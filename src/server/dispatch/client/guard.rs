//! Which addresses a delivery may be dialled at: the guard against requests that a merchant's URL would make inside the
//! operator's network.
//!
//! Asked for every address at the moment of connecting, never only when a URL is saved: a name can lead elsewhere a
//! second later.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The guard, with the networks that the operator opened.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<IpNet>,
}

impl Guard {
    /// A guard that lets deliveries into these networks although they are private, local or reserved.
    pub const fn new(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether an address may be dialled.
    pub fn permits(&self, address: IpAddr) -> bool {
        // An IPv4 address in the clothes of IPv6 is judged as what it is.
        let address = address.to_canonical();
        self.allowed.iter().any(|network| network.contains(&address))
            || match address {
                IpAddr::V4(address) => is_public_v4(address),
                IpAddr::V6(address) => is_public_v6(address),
            }
    }
}

/// Everything that IANA's special-purpose registry does not call globally reachable is closed.
const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0 // this network
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local() // 169.254.0.0/16, where clouds keep their metadata
        || address.is_multicast()
        || address.is_documentation()
        || (a == 100 && b & 0xc0 == 64) // 100.64.0.0/10, carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // 192.0.0.0/24, protocol assignments
        || (a == 192 && b == 88 && c == 99) // 192.88.99.0/24, old 6to4 relays
        || (a == 198 && b & 0xfe == 18) // 198.18.0.0/15, benchmarks
        || a >= 240) // reserved, and broadcast
}

const fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, ..] = address.segments();
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || (a == 0 && b == 0 && c == 0) // IPv4-compatible, deprecated
        || a & 0xfe00 == 0xfc00 // fc00::/7, unique local
        || a & 0xffc0 == 0xfe80 // fe80::/10, link local
        || a & 0xffc0 == 0xfec0 // fec0::/10, old site local
        || (a == 0x2001 && b == 0xdb8) // documentation
        || (a == 0x3fff && b < 0x1000) // documentation
        || (a == 0x2001 && b < 0x200) // 2001::/23, protocol assignments, Teredo
        || a == 0x2002 // 6to4: leads to any IPv4 address
        || (a == 0x64 && b == 0xff9b) // NAT64: leads to any IPv4 address
        || (a == 0x100 && b == 0 && c == 0) // discard
        || a == 0x5f00) // segment routing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(guard: &Guard, address: &str) -> bool {
        guard.permits(address.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_open() {
        let guard = Guard::default();
        for closed in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(&guard, closed), "{closed}");
        }
        for open in ["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "198.20.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(permits(&guard, open), "{open}");
        }
    }

    #[test]
    fn the_operator_opens_networks() {
        let guard = Guard::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        assert!(permits(&guard, "127.0.0.1") && permits(&guard, "::ffff:127.9.9.9") && permits(&guard, "fd12::1"));
        assert!(!permits(&guard, "10.0.0.1") && !permits(&guard, "::1") && !permits(&guard, "fc00::1"));
    }
}
