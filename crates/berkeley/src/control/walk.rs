//! The layout of control messages: lengths, and walking through what was received. Plain bytes
//! and checked offsets, no pointers.

use core::ffi::c_int;
use core::mem::{offset_of, size_of};

use crate::kinds::Level;

/// Bytes before the payload of a control message (`struct cmsghdr`).
pub(crate) const HEADER_BYTES: usize = size_of::<libc::cmsghdr>();

/// Each control message begins at a multiple of this.
const ALIGN: usize = size_of::<usize>();

/// The kernel counts control data with a signed number of 32 bits.
const BYTES_MAX: usize = 0x7fff_ffff;

const LEVEL_AT: usize = offset_of!(libc::cmsghdr, cmsg_level);
const KIND_AT: usize = offset_of!(libc::cmsghdr, cmsg_type);

const _: () = {
    assert!(offset_of!(libc::cmsghdr, cmsg_len) == 0);
    assert!(LEVEL_AT == size_of::<usize>());
    assert!(KIND_AT == LEVEL_AT + size_of::<c_int>());
    assert!(HEADER_BYTES == KIND_AT + size_of::<c_int>());
    // The payload begins right behind the header: no gap is needed to align it.
    assert!(HEADER_BYTES.is_multiple_of(ALIGN));
};

/// The length that a control message of `payload` bytes tells in its header (`CMSG_LEN`), or
/// `None` beyond what the kernel can count.
///
/// # References
/// cmsg(3), RFC 3542 §20.3.
#[doc(alias = "CMSG_LEN")]
#[must_use]
pub const fn control_len(payload: usize) -> Option<usize> {
    if payload > BYTES_MAX - HEADER_BYTES {
        return None;
    }
    Some(HEADER_BYTES + payload)
}

/// The room that a control message of `payload` bytes takes in a buffer, with what aligns the
/// next one (`CMSG_SPACE`), or `None` beyond what the kernel can count.
///
/// ```
/// use berkeley::control_space;
///
/// // One descriptor: a header of 16 bytes, the number, and a gap to the next multiple of 8.
/// assert_eq!(control_space(4), Some(24));
/// assert_eq!(control_space(usize::MAX), None);
/// ```
///
/// # References
/// cmsg(3), RFC 3542 §20.3.
#[doc(alias = "CMSG_SPACE")]
#[must_use]
pub const fn control_space(payload: usize) -> Option<usize> {
    match control_len(payload) {
        // As CPython counts it, for whom the gap is never empty.
        Some(len) if len <= BYTES_MAX - ALIGN => Some(len.next_multiple_of(ALIGN)),
        _ => None,
    }
}

/// What a control message's header says, checked against the bytes that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) level: c_int,
    pub(crate) kind: c_int,
    /// Bytes of the payload, all of them within the buffer.
    pub(crate) payload: usize,
    /// Bytes from this message to the next, at most the whole buffer.
    pub(crate) stride: usize,
}

impl Header {
    /// Reads the header at the beginning of `rest`. `None` at the end, and where a length makes
    /// no sense: what follows such a header cannot be found (as `CMSG_NXTHDR` does).
    pub(crate) fn read(rest: &[u8]) -> Option<Self> {
        let header = rest.first_chunk::<HEADER_BYTES>()?;
        let len = usize::from_ne_bytes(field(header, 0)?);
        if len < HEADER_BYTES || len > rest.len() {
            return None;
        }
        Some(Self {
            level: c_int::from_ne_bytes(field(header, LEVEL_AT)?),
            kind: c_int::from_ne_bytes(field(header, KIND_AT)?),
            payload: len - HEADER_BYTES,
            // The last one need not be followed by the gap that would align a next one.
            stride: len
                .checked_next_multiple_of(ALIGN)
                .map_or(rest.len(), |stride| stride.min(rest.len())),
        })
    }

    /// Lays out the header of a message whose payload has so many bytes.
    pub(crate) fn write(level: c_int, kind: c_int, payload: usize) -> Option<[u8; HEADER_BYTES]> {
        let mut header = [0; HEADER_BYTES];
        put(&mut header, 0, &control_len(payload)?.to_ne_bytes())?;
        put(&mut header, LEVEL_AT, &level.to_ne_bytes())?;
        put(&mut header, KIND_AT, &kind.to_ne_bytes())?;
        Some(header)
    }
}

/// The bytes of a field, or `None` if the message ends before it does.
/// Walks through control messages byte for byte, as received ([`crate::InMessage::control_bytes`])
/// or made ([`crate::ControlOut::as_bytes`]): level, type and payload of each. Descriptors are
/// numbers here, and stay with who owns them.
///
/// ```
/// use berkeley::{CmsgOut, ControlSpace, Level, raw_cmsgs};
///
/// # fn main() -> Result<(), berkeley::Error> {
/// let mut space = ControlSpace::<64>::new();
/// let mut control = space.out();
/// control.push(CmsgOut::Ttl(3))?;
/// let all: Vec<_> = raw_cmsgs(control.as_bytes()).collect();
/// assert_eq!(all, [(Level::IP, 2, 3i32.to_ne_bytes().as_slice())]);
/// # Ok(())
/// # }
/// ```
///
/// # References
/// cmsg(3).
#[doc(alias("CMSG_FIRSTHDR", "CMSG_NXTHDR", "CMSG_DATA"))]
pub fn raw_cmsgs(bytes: &[u8]) -> impl Iterator<Item = (Level, c_int, &[u8])> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let header = Header::read(rest)?;
        let payload = rest.get(HEADER_BYTES..)?.get(..header.payload)?;
        rest = rest.get(header.stride..)?;
        Some((Level::from_raw(header.level), header.kind, payload))
    })
}

pub(crate) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

/// Writes a field; `None` if there is no room for it.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) -> Option<()> {
    bytes
        .get_mut(at..)?
        .get_mut(..value.len())?
        .copy_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All payloads of a buffer, as offset and length, walked as the library does.
    fn walk(buffer: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(header) = Header::read(&buffer[at..]) {
            found.push((at + HEADER_BYTES, header.payload));
            at += header.stride;
        }
        found
    }

    #[test]
    fn lengths_are_those_of_the_c_macros() {
        for payload in 0..300u32 {
            let payload = payload as usize;
            let aligned = payload.div_ceil(8) * 8;
            assert_eq!(control_len(payload), Some(16 + payload));
            assert_eq!(control_space(payload), Some(16 + aligned));
        }
        assert_eq!(control_len(BYTES_MAX - 16), Some(BYTES_MAX));
        assert_eq!(control_len(BYTES_MAX - 15), None);
        assert_eq!(control_space(BYTES_MAX - 16), None);
    }

    #[test]
    fn a_length_that_makes_no_sense_ends_the_walk() {
        let mut buffer = [0u8; 64];
        for len in [0usize, 1, 15, 65, 1 << 31, usize::MAX - 7, usize::MAX] {
            put(&mut buffer, 0, &len.to_ne_bytes()).unwrap();
            assert_eq!(walk(&buffer), [], "{len}");
        }
        put(&mut buffer, 0, &64usize.to_ne_bytes()).unwrap();
        assert_eq!(walk(&buffer), [(16, 48)]);
    }

    proptest! {
        #[test]
        fn the_walk_of_any_bytes_ends_and_stays_inside(
            buffer in proptest::collection::vec(any::<u8>(), 0..256)
        ) {
            let mut end = 0;
            for (at, len) in walk(&buffer) {
                prop_assert!(at >= end + HEADER_BYTES && at + len <= buffer.len());
                end = at + len;
            }
        }

        #[test]
        fn the_walk_of_plausible_lengths_ends_and_stays_inside(
            lens in proptest::collection::vec((0usize..80, 0usize..40), 0..20),
        ) {
            // Headers whose lengths are near the truth, which random bytes hardly ever are.
            let mut buffer = Vec::new();
            for (told, real) in lens {
                buffer.extend_from_slice(&told.to_ne_bytes());
                buffer.extend_from_slice(&[0; 8]);
                buffer.resize(buffer.len() + real, 0xaa);
            }
            let mut end = 0;
            for (at, len) in walk(&buffer) {
                prop_assert!(at >= end + HEADER_BYTES && at + len <= buffer.len());
                end = at + len;
            }
        }

        #[test]
        fn what_is_written_is_found(
            items in proptest::collection::vec(
                (any::<i32>(), any::<i32>(), proptest::collection::vec(any::<u8>(), 0..40)),
                0..8,
            )
        ) {
            let mut buffer = Vec::new();
            for (level, kind, payload) in &items {
                let start = buffer.len();
                buffer.extend_from_slice(&Header::write(*level, *kind, payload.len()).unwrap());
                buffer.extend_from_slice(payload);
                buffer.resize(start + control_space(payload.len()).unwrap(), 0);
            }
            let mut at = 0;
            for (level, kind, payload) in &items {
                let header = Header::read(&buffer[at..]).unwrap();
                prop_assert_eq!((header.level, header.kind), (*level, *kind));
                let bytes = &buffer[at + HEADER_BYTES..][..header.payload];
                prop_assert_eq!(bytes, &payload[..]);
                at += header.stride;
            }
            prop_assert_eq!(at, buffer.len());
        }
    }
}
