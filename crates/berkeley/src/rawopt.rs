//! Options as the kernel has them: integers, bytes, or nothing.

use core::ffi::c_int;
use std::os::fd::{AsFd, BorrowedFd};

use crate::errno::Errno;
use crate::error::{Error, Result};
use crate::kinds::Level;
use crate::lease::failure;
use crate::opt::{GetOpt, SetOpt, VALUE_BYTES_INLINE, VALUE_BYTES_SMALL};
use crate::socket::Socket;
use crate::sys;

impl Socket {
    /// Reads an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that this family or kernel does not have.
    ///
    /// # References
    /// getsockopt(2).
    #[doc(alias = "getsockopt")]
    pub fn get<O: GetOpt>(&self, option: O) -> Result<O::Value> {
        option_of(self.as_fd(), option)
    }

    /// Sets an option.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that this family or kernel does not have, `EINVAL` for a value
    /// out of range, `EPERM` without the right to it.
    ///
    /// # References
    /// setsockopt(2).
    #[doc(alias = "setsockopt")]
    pub fn set<O: SetOpt>(&self, _option: O, value: O::Value) -> Result<()> {
        self.set_labelled(O::LEVEL, O::NAME, O::LABEL, O::encode(value).as_ref())
    }

    /// Reads any option as bytes into `value`; answers how many were written. What `value` holds
    /// is given to the kernel, which some options read.
    ///
    /// # Errors
    /// As [`Socket::get`]; [`Error::Unsupported`] for the options whose value has addresses of
    /// memory to be written: [`Socket::get_raw_pointers`] reads those.
    ///
    /// # References
    /// getsockopt(2).
    pub fn get_raw(&self, level: Level, name: i32, value: &mut [u8]) -> Result<usize> {
        self.get_labelled(level, name, "getsockopt", value)
    }

    /// Sets any option from bytes.
    ///
    /// # Errors
    /// As [`Socket::set`]; [`Error::Unsupported`] for the options whose value has addresses of
    /// memory to be written: [`Socket::set_raw_pointers`] sets those.
    ///
    /// # References
    /// setsockopt(2).
    pub fn set_raw(&self, level: Level, name: i32, value: &[u8]) -> Result<()> {
        self.set_labelled(level, name, "setsockopt", value)
    }

    /// Sets any option without a value, but with the length `len`: some options mean something
    /// by it (`ALG_SET_AEAD_AUTHSIZE`). Python's `setsockopt(level, name, None, len)`.
    ///
    /// # Errors
    /// As [`Socket::set`]; `EFAULT` for an option that wants a value.
    pub fn set_raw_null(&self, level: Level, name: i32, len: u32) -> Result<()> {
        sys::option::setsockopt_null(self.as_fd(), level.raw(), name, len)
            .map_err(|errno| self.failure("setsockopt", errno))
    }

    /// Reads any option that is an integer. Options of one byte are read as a number too.
    ///
    /// # Errors
    /// As [`Socket::get_raw`].
    ///
    /// # References
    /// getsockopt(2).
    pub fn get_raw_int(&self, level: Level, name: i32) -> Result<i32> {
        let mut value = [0; size_of::<c_int>()];
        match self.get_raw(level, name, &mut value)? {
            1 => Ok(value.first().copied().map_or(0, c_int::from)),
            4 => Ok(c_int::from_ne_bytes(value)),
            len => Err(Error::Invalid(format!(
                "option {name} of level {}: {len} bytes are no integer",
                level.raw()
            ))),
        }
    }

    /// Sets any option that is an integer.
    ///
    /// # Errors
    /// As [`Socket::set_raw`].
    ///
    /// # References
    /// setsockopt(2).
    pub fn set_raw_int(&self, level: Level, name: i32, value: i32) -> Result<()> {
        self.set_raw(level, name, &value.to_ne_bytes())
    }

    pub(crate) fn get_labelled(
        &self,
        level: Level,
        name: c_int,
        label: &'static str,
        value: &mut [u8],
    ) -> Result<usize> {
        read(self.as_fd(), level, name, label, value)
    }

    pub(crate) fn set_labelled(
        &self,
        level: Level,
        name: c_int,
        label: &'static str,
        value: &[u8],
    ) -> Result<()> {
        if sys::option::setting_writes_elsewhere(level.raw(), name) {
            return Err(refused(label, level, name));
        }
        sys::socket::setsockopt(self.as_fd(), level.raw(), name, value)
            .map_err(|errno| self.failure(label, errno))
    }
}

/// Reads an option of any descriptor.
pub(crate) fn option_of<O: GetOpt>(fd: BorrowedFd<'_>, _option: O) -> Result<O::Value> {
    // The branches are decided when this is compiled; one remains.
    if O::BYTES <= VALUE_BYTES_SMALL && O::BYTES_MAX <= O::BYTES {
        return read_within::<O>(fd, &mut [0; VALUE_BYTES_SMALL]);
    }
    let found = if O::BYTES <= VALUE_BYTES_INLINE {
        read_within::<O>(fd, &mut [0; VALUE_BYTES_INLINE])
    } else {
        read_within::<O>(fd, &mut vec![0; O::BYTES])
    };
    match found {
        Err(error) if O::BYTES_MAX > O::BYTES && error.errno() == Some(Errno::ERANGE) => {
            read_into::<O>(fd, &mut vec![0; O::BYTES_MAX])
        }
        found => found,
    }
}

fn read_within<O: GetOpt>(fd: BorrowedFd<'_>, room: &mut [u8]) -> Result<O::Value> {
    let len = O::BYTES.min(room.len());
    read_into::<O>(fd, room.get_mut(..len).unwrap_or_default())
}

fn read_into<O: GetOpt>(fd: BorrowedFd<'_>, room: &mut [u8]) -> Result<O::Value> {
    let len = read(fd, O::LEVEL, O::NAME, O::LABEL, room)?;
    room.get(..len)
        .and_then(O::decode)
        .ok_or_else(|| Error::Invalid(format!("{}: the kernel's answer has {len} bytes", O::LABEL)))
}

fn read(
    fd: BorrowedFd<'_>,
    level: Level,
    name: c_int,
    label: &'static str,
    value: &mut [u8],
) -> Result<usize> {
    if sys::option::reading_writes_elsewhere(level.raw(), name) {
        return Err(refused(label, level, name));
    }
    sys::socket::getsockopt(fd, level.raw(), name, value).map_err(|errno| failure(fd, label, errno))
}

#[cold]
fn refused(label: &'static str, level: Level, name: c_int) -> Error {
    let level = level.raw();
    Error::Unsupported(format!(
        "{label}: the value of option {name} of level {level} points to memory that is written to"
    ))
}
