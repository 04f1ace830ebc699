//! Options of the kernel's cryptography: `SOL_ALG`, Documentation/crypto/userspace-if.rst.
//! They belong to the socket that is bound to an algorithm, before it is accepted from.

use super::codec::{Bytes, Encode};

options! {
    /// `ALG_SET_KEY`: the key.
    w Key: Vec<u8> as Bytes<4096> = SOL_ALG ALG_SET_KEY, "ALG_SET_KEY";
    /// `ALG_SET_KEY_BY_KEY_SERIAL`: the key with this number in the kernel's keyrings, keyrings(7)
    /// (Linux 6.2).
    w KeySerial: core::ffi::c_int as super::codec::Number
        = SOL_ALG ALG_SET_KEY_BY_KEY_SERIAL, "ALG_SET_KEY_BY_KEY_SERIAL";
    /// `ALG_SET_AEAD_AUTHSIZE`: bytes of the tag that proves a message.
    w AeadAuthSize: u32 as LengthOnly = SOL_ALG ALG_SET_AEAD_AUTHSIZE, "ALG_SET_AEAD_AUTHSIZE";
    /// `ALG_SET_DRBG_ENTROPY`: entropy for a generator under test (Linux 5.10).
    w DrbgEntropy: Vec<u8> as Bytes<4096> = SOL_ALG ALG_SET_DRBG_ENTROPY, "ALG_SET_DRBG_ENTROPY";
}

/// The length of the value is the value.
struct LengthOnly;

/// Bytes of a tag that any algorithm may have; the kernel refuses more than its own knows.
const AUTH_BYTES_MAX: usize = 512;

/// So many zeros.
struct Zeros(usize);

impl AsRef<[u8]> for Zeros {
    fn as_ref(&self) -> &[u8] {
        const ZEROS: &[u8] = &[0; AUTH_BYTES_MAX];
        ZEROS.get(..self.0).unwrap_or(ZEROS)
    }
}

impl Encode for LengthOnly {
    type Value = u32;

    fn encode(value: u32) -> impl AsRef<[u8]> {
        Zeros(usize::try_from(value).unwrap_or(usize::MAX))
    }
}
