//! Which gateways there are: those that come along, and those whose files whoever runs the server has put in a folder.

use super::Preset;
use crate::domain::Gateway;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

macro_rules! built_in {
    ($($name:literal),+ $(,)?) => {
        /// Descriptions that come along, with their names.
        const BUILT_IN: &[(&str, &str)] = &[$(($name, include_str!(concat!("presets/", $name, ".toml")))),+];
    };
}

built_in!(
    "2checkout",
    "2checkout-lcn",
    "adyen",
    "authorize-net",
    "coinbase-commerce",
    "coinpayments",
    "digistore24",
    "fastspring",
    "lemon-squeezy",
    "mollie",
    "mollie-classic",
    "momo",
    "onepay",
    "paddle",
    "payos",
    "paypal",
    "paypal-webhooks",
    "paytabs",
    "payu",
    "payu-liveupdate",
    "przelewy24",
    "razorpay",
    "skrill",
    "square",
    "standard-webhooks",
    "stripe",
    "vnpay",
    "webmoney",
    "xsolla",
    "yoomoney",
    "zalopay",
);

/// Largest description read, in bytes.
const MAX_FILE: u64 = 256 << 10;

/// All gateways, by name.
#[derive(Debug)]
pub struct Gateways {
    by_name: HashMap<Gateway, Arc<Preset>>,
    /// By group, then by label.
    sorted: Vec<Arc<Preset>>,
}

/// A description that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PresetError {
    #[error("{path}: {reason}; --gateways names a folder with files that end in .toml")]
    Unreadable { path: PathBuf, reason: String },
    #[error("{path}: {reason}")]
    Wrong { path: PathBuf, reason: String },
    #[error("{path}: there is a gateway called {id} already; choose another id")]
    Taken { path: PathBuf, id: Gateway },
}

impl Gateways {
    /// The gateways that come along, read once for the whole process.
    pub fn shared() -> Arc<Self> {
        static SHARED: LazyLock<Arc<Gateways>> = LazyLock::new(|| {
            #[expect(clippy::expect_used, reason = "they are part of the program, and a test reads them all")]
            Arc::new(Gateways::built_in().expect("the descriptions that come along are right"))
        });
        SHARED.clone()
    }

    /// The gateways that come along.
    pub fn built_in() -> Result<Self, PresetError> {
        let mut read = Vec::new();
        for (name, text) in BUILT_IN {
            let path = PathBuf::from(name);
            let preset = Preset::read(text).map_err(|reason| PresetError::Wrong { path: path.clone(), reason })?;
            read.push((path, preset));
        }
        Self::of(read)
    }

    /// Those that come along and those in a folder.
    pub fn with_folder(folder: Option<&Path>) -> Result<Self, PresetError> {
        let Some(folder) = folder else { return Self::built_in() };
        let unreadable =
            |path: &Path, reason: std::io::Error| PresetError::Unreadable { path: path.to_owned(), reason: reason.to_string() };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(|reason| unreadable(folder, reason))? {
            let path = entry.map_err(|reason| unreadable(folder, reason))?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        let mut read: Vec<_> =
            Self::built_in()?.sorted.iter().map(|preset| (PathBuf::from(preset.id.name()), (**preset).clone())).collect();
        for path in paths {
            let size = std::fs::metadata(&path).map_err(|reason| unreadable(&path, reason))?.len();
            if size > MAX_FILE {
                return Err(PresetError::Wrong { path, reason: "it is larger than 256 KiB".to_owned() });
            }
            let text = std::fs::read_to_string(&path).map_err(|reason| unreadable(&path, reason))?;
            let preset = Preset::read(&text).map_err(|reason| PresetError::Wrong { path: path.clone(), reason })?;
            read.push((path, preset));
        }
        Self::of(read)
    }

    fn of(read: Vec<(PathBuf, Preset)>) -> Result<Self, PresetError> {
        let mut by_name = HashMap::new();
        for (path, preset) in read {
            let id = preset.id;
            if by_name.insert(id, Arc::new(preset)).is_some() {
                return Err(PresetError::Taken { path, id });
            }
        }
        let mut sorted: Vec<_> = by_name.values().cloned().collect();
        sorted.sort_by_key(|preset| (preset.group.clone(), preset.label.to_lowercase()));
        Ok(Self { by_name, sorted })
    }

    /// A gateway by name.
    pub fn get(&self, gateway: Gateway) -> Option<&Arc<Preset>> {
        self.by_name.get(&gateway)
    }

    /// Whether a gateway is asked back before a message of it counts.
    pub fn asks(&self, gateway: Gateway) -> bool {
        self.get(gateway).is_some_and(|preset| preset.confirm.is_some())
    }

    /// The name of a gateway on pages.
    pub fn label(&self, gateway: Gateway) -> String {
        self.get(gateway).map_or_else(|| gateway.name().to_owned(), |preset| preset.label.clone())
    }

    /// All of them, by group and label.
    pub fn all(&self) -> &[Arc<Preset>] {
        &self.sorted
    }
}
