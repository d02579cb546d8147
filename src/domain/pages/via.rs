//! The choice of where messages came in.

use crate::domain::{Gateway, id::ListenerId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// What a gateway's name begins with, so that it is never taken for a listener's id.
const GATEWAY: &str = "gateway:";

/// Where messages came in. In addresses and forms a listener's id, or `gateway:` and the name of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// At this listener.
    Listener(ListenerId),
    /// At any listener for this gateway.
    Gateway(Gateway),
}

impl Via {
    /// The one listener that is meant.
    pub const fn listener(self) -> Option<ListenerId> {
        match self {
            Self::Listener(id) => Some(id),
            Self::Gateway(_) => None,
        }
    }

    /// The gateway all of whose listeners are meant.
    pub const fn gateway(self) -> Option<Gateway> {
        match self {
            Self::Gateway(gateway) => Some(gateway),
            Self::Listener(_) => None,
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listener(id) => id.fmt(f),
            Self::Gateway(gateway) => write!(f, "{GATEWAY}{}", gateway.name()),
        }
    }
}

/// It names neither a listener nor a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no listener and no gateway")]
pub struct InvalidVia;

impl FromStr for Via {
    type Err = InvalidVia;

    fn from_str(text: &str) -> Result<Self, InvalidVia> {
        match text.strip_prefix(GATEWAY) {
            Some(name) => name.parse().map(Self::Gateway).map_err(|_| InvalidVia),
            None => text.parse().map(Self::Listener).map_err(|_| InvalidVia),
        }
    }
}

impl Serialize for Via {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Via {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_an_address() {
        let stripe: Gateway = "stripe".parse().unwrap();
        for via in [Via::Listener(ListenerId(77)), Via::Gateway(stripe)] {
            assert_eq!(via.to_string().parse(), Ok(via));
            assert_eq!(serde_json::from_str::<Via>(&serde_json::to_string(&via).unwrap()).unwrap(), via);
        }
        for wrong in ["", "!", "gateway:", "gateway:Not A Name"] {
            assert_eq!(wrong.parse::<Via>(), Err(InvalidVia), "{wrong}");
        }
    }
}
