//! Names of the kernel's ciphers and hashes.

use core::fmt;
use core::mem::{offset_of, size_of};

use super::raw::{ADDR_BYTES, AddrBuf, field, u32_at};
use super::text::Fields;
use crate::error::{Error, Result};
use crate::kinds::Family;

const TYPE_BYTES: usize = 14;
const NAME_AT: usize = 24;
/// The kernel takes longer names than the structure has room for (Linux 4.14), up to the size of
/// any address with a closing zero.
const NAME_BYTES: usize = ADDR_BYTES - NAME_AT;
const ALG_BYTES: usize = size_of::<libc::sockaddr_alg>();

const _: () = {
    assert!(offset_of!(libc::sockaddr_alg, salg_type) == 2);
    assert!(offset_of!(libc::sockaddr_alg, salg_feat) == 16);
    assert!(offset_of!(libc::sockaddr_alg, salg_mask) == 20);
    assert!(offset_of!(libc::sockaddr_alg, salg_name) == NAME_AT);
    assert!(ALG_BYTES == 88);
};

/// The address of an ALG socket: a kind of algorithm and its name, as /proc/crypto shows them.
///
/// As text: `alg:TYPE:NAME`, and `#FEATURES,MASK` behind it where they are not zero.
///
/// ```
/// use berkeley::{Addr, AlgAddr};
///
/// let addr = AlgAddr::new("hash", "sha256").unwrap();
/// assert_eq!(addr.to_string(), "alg:hash:sha256");
/// assert_eq!("alg:hash:sha256".parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// The kernel's Documentation/crypto/userspace-if.rst, `struct sockaddr_alg`.
#[doc(alias = "sockaddr_alg")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlgAddr {
    kind: Box<str>,
    name: Box<str>,
    features: u32,
    mask: u32,
}

impl AlgAddr {
    /// An algorithm: its type (`"hash"`, `"skcipher"`, `"aead"`, `"rng"`) of up to 13 bytes, and
    /// its name (`"cbc(aes)"`) of up to 103.
    ///
    /// # Errors
    /// [`Error::Invalid`] for words that are empty, too long, or more than printable ASCII
    /// without `:` (in the type) and `#`.
    pub fn new(kind: &str, name: &str) -> Result<Self> {
        let is_word = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'#')
        };
        if !is_word(kind) || kind.contains(':') || kind.len() >= TYPE_BYTES {
            return Err(Error::Invalid(format!(
                "{kind:?} is no type of algorithm: 1 to {} letters",
                TYPE_BYTES - 1
            )));
        }
        if !is_word(name) || name.len() >= NAME_BYTES {
            return Err(Error::Invalid(format!(
                "{name:?} is no name of an algorithm: 1 to {} letters",
                NAME_BYTES - 1
            )));
        }
        Ok(Self {
            kind: kind.into(),
            name: name.into(),
            features: 0,
            mask: 0,
        })
    }

    /// The same with the features (`CRYPTO_ALG_*`) that it shall have, among those of `mask`.
    #[must_use]
    pub const fn with_features(mut self, features: u32, mask: u32) -> Self {
        self.features = features;
        self.mask = mask;
        self
    }

    /// The type.
    #[must_use]
    pub const fn kind(&self) -> &str {
        &self.kind
    }

    /// The name.
    #[must_use]
    pub const fn name(&self) -> &str {
        &self.name
    }

    /// The features that it shall have.
    #[must_use]
    pub const fn features(&self) -> u32 {
        self.features
    }

    /// The features that are looked at.
    #[must_use]
    pub const fn mask(&self) -> u32 {
        self.mask
    }

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        let len = (NAME_AT + self.name.len() + 1).max(ALG_BYTES);
        raw.begin(Family::ALG, len);
        raw.put(2, self.kind.as_bytes());
        raw.put(16, &self.features.to_ne_bytes());
        raw.put(20, &self.mask.to_ne_bytes());
        raw.put(NAME_AT, self.name.as_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let kind = field::<TYPE_BYTES>(bytes, 2)?;
        let addr = Self::new(until_zero(&kind)?, until_zero(bytes.get(NAME_AT..)?)?).ok()?;
        Some(addr.with_features(u32_at(bytes, 16)?, u32_at(bytes, 20)?))
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self> {
        let kind = fields.required("type")?;
        let Some(rest) = fields.rest() else {
            return Err(fields.refused("its name is missing"));
        };
        let Some((name, numbers)) = rest.rsplit_once('#') else {
            return Self::new(kind, rest);
        };
        let hex = |text: &str| u32::from_str_radix(text.strip_prefix("0x")?, 16).ok();
        let (features, mask) = numbers
            .split_once(',')
            .and_then(|(features, mask)| Some((hex(features)?, hex(mask)?)))
            .ok_or_else(|| fields.refused(format_args!("{numbers:?} are no features")))?;
        Ok(Self::new(kind, name)?.with_features(features, mask))
    }
}

fn until_zero(bytes: &[u8]) -> Option<&str> {
    let word = bytes.split(|byte| *byte == 0).next()?;
    core::str::from_utf8(word).ok()
}

impl fmt::Display for AlgAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alg:{}:{}", self.kind, self.name)?;
        if self.features != 0 || self.mask != 0 {
            write!(f, "#{:#x},{:#x}", self.features, self.mask)?;
        }
        Ok(())
    }
}
