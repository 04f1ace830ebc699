//! Integers on their way in, as `PyArg_Parse` takes them.
#![expect(unsafe_code, reason = "each function is one call of the interpreter")]

use core::ffi::c_int;

use pyo3_ffi as ffi;

use super::object::{Object, Owned};
use super::raised::{Exception, Raised, Result};

/// An integer type of C, taken from an object by its `__index__`.
pub(crate) trait Integer: Sized {
    /// # Errors
    /// `TypeError` for what is no integer, `OverflowError` for one that does not fit.
    fn of(object: &Object) -> Result<Self>;
}

impl Integer for c_int {
    #[inline]
    fn of(object: &Object) -> Result<Self> {
        let value = i64::of(object)?;
        Self::try_from(value).map_err(|_too_large| {
            Exception::Overflow.raise(if value < 0 {
                "signed integer is less than minimum"
            } else {
                "signed integer is greater than maximum"
            })
        })
    }
}

impl Integer for i64 {
    #[inline]
    fn of(object: &Object) -> Result<Self> {
        // SAFETY: raises for what is no integer.
        let value = unsafe { ffi::PyLong_AsLongLong(object.as_ptr()) };
        if value == -1 {
            check()?;
        }
        Ok(value)
    }
}

impl Integer for isize {
    #[inline]
    fn of(object: &Object) -> Result<Self> {
        // SAFETY: raises for what is no integer.
        let index = unsafe { ffi::PyNumber_Index(object.as_ptr()) };
        // SAFETY: a new reference or null.
        let index = unsafe { Owned::from_new(index) }?;
        // SAFETY: an integer.
        let value = unsafe { ffi::PyLong_AsSsize_t(index.as_ptr()) };
        if value == -1 {
            check()?;
        }
        Ok(value)
    }
}

/// Cut to 64 bits, as C's unsigned formats do it; the caller cuts further.
impl Integer for u64 {
    fn of(object: &Object) -> Result<Self> {
        // SAFETY: raises for what is no integer.
        let value = unsafe { ffi::PyLong_AsUnsignedLongLongMask(object.as_ptr()) };
        if value == Self::MAX {
            check()?;
        }
        Ok(value)
    }
}

/// Cut to 32 bits.
impl Integer for u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "as C's unsigned formats do it"
    )]
    fn of(object: &Object) -> Result<Self> {
        u64::of(object).map(|value| value as Self)
    }
}

impl Integer for f64 {
    fn of(object: &Object) -> Result<Self> {
        // SAFETY: raises for what is no number.
        let value = unsafe { ffi::PyFloat_AsDouble(object.as_ptr()) };
        if value == -1.0 {
            check()?;
        }
        Ok(value)
    }
}

/// -1 may be the value, or that something was raised.
#[cold]
fn check() -> Result<()> {
    // SAFETY: takes nothing.
    if unsafe { ffi::PyErr_Occurred() }.is_null() {
        Ok(())
    } else {
        Err(Raised::already())
    }
}
