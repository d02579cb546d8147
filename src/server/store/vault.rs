//! Secrets at rest: XChaCha20-Poly1305 under a key that lies in a file beside the database.
//!
//! A copy of the database alone reveals no secret key. Each ciphertext is bound to the place it belongs to, so that
//! one merchant's sealed key cannot be moved to another's row.

use super::StoreError;
use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use sha2::{Digest as _, Sha256};
use std::{
    fmt,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Bytes that must not appear in a log.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes themselves.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }

    /// Sixteen digits by which people can tell whether two keys are the same, without seeing either: the beginning of a
    /// SHA-256. They tell no more of a key than the signatures that it makes.
    pub fn fingerprint(&self) -> String {
        let digest = Sha256::new().chain_update(b"quittance key fingerprint\0").chain_update(&self.0).finalize();
        hex::encode(&digest[..8])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    path: PathBuf,
}

impl Vault {
    /// Reads the key file.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::KeyMissing(path.to_owned()),
            _ => key_file_error(path, &error),
        })?;
        let mut key = [0u8; KEY_BYTES];
        hex::decode_to_slice(text.trim(), &mut key).map_err(|_| StoreError::KeyFile {
            path: path.to_owned(),
            reason: "it must hold 64 hexadecimal digits".to_owned(),
        })?;
        Ok(Self { cipher: XChaCha20Poly1305::new(&key.into()), path: path.to_owned() })
    }

    /// Makes a key file that only its owner can read. Uses the one that is there, if any.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            place_key(path).map_err(|error| key_file_error(path, &error))?;
        }
        Self::open(path)
    }

    /// Where the key lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Seals bytes for a place such as `merchant.secret_key/12`.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = random();
        #[expect(clippy::expect_used, reason = "the cipher fails only beyond 256 GiB")]
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: place.as_bytes() })
            .expect("a secret is shorter than the cipher's limit");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what was sealed for the same place. `None` under another key, for another place, or for altered bytes.
    pub fn unseal(&self, place: &str, sealed: &[u8]) -> Option<Secret> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Secret)
    }
}

/// Writes a new key beside its place and moves it there whole, so that a crash never leaves a part of one. What another
/// process put there meanwhile stays: secrets may be sealed with it already.
fn place_key(path: &Path) -> std::io::Result<()> {
    let key: [u8; KEY_BYTES] = random();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", hex::encode(random::<8>())));
    let temporary = PathBuf::from(name);
    let mut file = private_file().open(&temporary)?;
    let placed = file
        .write_all(format!("{}\n", hex::encode(key)).as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&temporary, path))
        .or_else(|error| match error.kind() {
            ErrorKind::AlreadyExists => Ok(()),
            // Some file systems have no links.
            ErrorKind::Unsupported | ErrorKind::PermissionDenied if !path.exists() => std::fs::rename(&temporary, path),
            _ => Err(error),
        });
    let _ = std::fs::remove_file(&temporary);
    placed?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        // Some file systems cannot sync a folder; the key is in its place all the same.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let _ = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

/// How files are made that nobody but their owner may read.
fn private_file() -> std::fs::OpenOptions {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes an empty file that only its owner can read, where there is none: orders tell of people.
pub fn create_private(path: &Path) -> Result<(), StoreError> {
    match create_private_new(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(StoreError::Unavailable(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// The same for a file that must not be there.
pub fn create_private_new(path: &Path) -> std::io::Result<()> {
    private_file().open(path).map(|_| ())
}

fn key_file_error(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::KeyFile { path: path.to_owned(), reason: error.to_string() }
}

/// Bytes from the operating system's random source.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0u8; N];
    #[expect(clippy::expect_used, reason = "without a random source no key or token may be made")]
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_only_with_their_key_at_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::create(&folder.path().join("a.key")).unwrap();
        let other = Vault::create(&folder.path().join("b.key")).unwrap();
        let sealed = vault.seal("merchant.secret_key/1", b"AABBCCDDEEFF");
        assert!(!sealed.windows(6).any(|window| window == b"AABBCC"));
        assert_eq!(vault.unseal("merchant.secret_key/1", &sealed).unwrap().reveal(), b"AABBCCDDEEFF");
        assert_eq!(vault.unseal("merchant.secret_key/2", &sealed), None);
        assert_eq!(other.unseal("merchant.secret_key/1", &sealed), None);
        assert_eq!(vault.unseal("merchant.secret_key/1", &sealed[..20]), None);
        let again = Vault::create(&folder.path().join("a.key")).unwrap();
        assert!(again.unseal("merchant.secret_key/1", &sealed).is_some(), "an existing key file is kept");
    }

    #[cfg(unix)]
    #[test]
    fn the_key_file_is_its_owners_alone_and_must_be_whole() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        Vault::create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "abc").unwrap();
        assert!(matches!(Vault::open(&path), Err(StoreError::KeyFile { .. })));
    }

    #[test]
    fn key_files_are_placed_whole_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.key");
        let vaults: Vec<_> = std::thread::scope(|scope| {
            let made: Vec<_> = (0..8).map(|_| scope.spawn(|| Vault::create(&path).unwrap())).collect();
            made.into_iter().map(|vault| vault.join().unwrap()).collect()
        });
        let sealed = vaults[0].seal("place", b"x");
        assert!(vaults.iter().all(|vault| vault.unseal("place", &sealed).is_some()), "all have the key that stayed");
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(names, ["a.key"]);
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hush")), "Secret(…)");
        let print = Secret::new("hush").fingerprint();
        assert_eq!((print.len(), print == Secret::new("hush").fingerprint()), (16, true));
        assert_ne!(print, Secret::new("hush ").fingerprint());
    }
}
