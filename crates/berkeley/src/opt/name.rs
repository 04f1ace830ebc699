//! Short names that some options have as values.

use core::fmt;
use core::str::FromStr;

use crate::error::Error;

/// A name of up to 15 bytes: of an interface (`"eth0"`), of a congestion control (`"cubic"`), of
/// a protocol above TCP (`"tls"`). Not allocated.
///
/// ```
/// use berkeley::opt::Name;
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let name: Name = "eth0".parse()?;
/// assert_eq!(name.to_string(), "eth0");
/// assert!(Name::EMPTY.as_bytes().is_empty());
/// assert!("a name that is too long".parse::<Name>().is_err());
/// # Ok(())
/// # }
/// ```
///
/// # References
/// netdevice(7).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    bytes: [u8; 16],
    len: u8,
}

impl Name {
    /// The longest name: `IFNAMSIZ`, `TCP_CA_NAME_MAX` and `TCP_ULP_NAME_MAX` are 16 with the
    /// zero behind it.
    pub const BYTES_MAX: usize = 15;

    /// No name: takes the binding to an interface away, or says that there is none.
    pub const EMPTY: Self = Self {
        bytes: [0; 16],
        len: 0,
    };

    /// A name from bytes; `None` if they are more than 15 or one of them is zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > Self::BYTES_MAX || bytes.contains(&0) {
            return None;
        }
        let mut name = Self::EMPTY;
        for (place, byte) in name.bytes.iter_mut().zip(bytes) {
            *place = *byte;
        }
        name.len = u8::try_from(bytes.len()).ok()?;
        Some(name)
    }

    /// The name without a zero behind it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// All 16 bytes, of which at least the last is zero.
    pub(super) const fn terminated(self) -> [u8; 16] {
        self.bytes
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::from_bytes(name.as_bytes())
            .ok_or_else(|| Error::Invalid(format!("{name:?} is no name of up to 15 bytes")))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(self.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({:?})", self.to_string())
    }
}
