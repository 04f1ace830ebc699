//! What proves that a content is the one that was meant.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::GetError;

/// How a sum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// BLAKE3, 32 bytes of it.
    Blake3,
    /// SHA-256 (FIPS 180-4).
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Blake3, Self::Sha256];

    /// Its name, as it stands before a sum.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
        }
    }
}

/// A sum that a content must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checksum {
    /// How it is made.
    pub algorithm: Algorithm,
    /// The sum, in hex of lower case.
    pub hex: String,
}

impl Checksum {
    /// Compares it with the sum of what came.
    pub(super) fn check(&self, found: String) -> Result<(), GetError> {
        if self.hex == found {
            return Ok(());
        }
        Err(GetError::Checksum {
            algorithm: self.algorithm,
            expected: self.hex.clone(),
            found,
        })
    }
}

impl core::str::FromStr for Checksum {
    type Err = String;

    /// Reads `sha256:HEX` or `blake3:HEX`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hex) = text
            .split_once(':')
            .ok_or("write sha256:HEX or blake3:HEX")?;
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|known| known.name() == name.to_ascii_lowercase())
            .ok_or_else(|| format!("there is no {name:?}, only sha256 and blake3"))?;
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("a {name} sum has 64 digits of hex"));
        }
        Ok(Self {
            algorithm,
            hex: hex.to_ascii_lowercase(),
        })
    }
}

/// Makes a sum.
#[derive(Debug)]
pub(super) enum Hasher {
    Blake3(Box<blake3::Hasher>),
    Sha256(Box<Sha256>),
}

impl Hasher {
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Sha256 => Self::Sha256(Box::default()),
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(super) fn hex(self) -> String {
        match self {
            Self::Blake3(hasher) => hasher.finalize().to_hex().to_string(),
            Self::Sha256(hasher) => {
                hasher
                    .finalize()
                    .iter()
                    .fold(String::new(), |mut hex, byte| {
                        // A text takes whatever it is given.
                        write!(hex, "{byte:02x}").ok();
                        hex
                    })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Checksum, Hasher};

    #[test]
    fn sums_are_read_and_made() {
        for text in [
            // Of "abc": FIPS 180-4.
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "BLAKE3:6437B3AC38465133FFB63B75273A8DB548C558465D79DB03FD359C6CD5BD9D85",
        ] {
            let sum: Checksum = text.parse().unwrap();
            let mut hasher = Hasher::new(sum.algorithm);
            hasher.update(b"ab");
            hasher.update(b"c");
            assert_eq!(hasher.hex(), sum.hex);
        }
        for text in ["", "abc", "md5:00", "sha256:00", "sha256:"] {
            assert!(text.parse::<Checksum>().is_err(), "{text:?}");
        }
    }
}
