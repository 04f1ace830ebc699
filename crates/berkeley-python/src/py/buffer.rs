//! Memory that objects lend: the buffer protocol (PEP 3118), and new `bytes`.
#![expect(unsafe_code, reason = "memory that belongs to objects, as slices")]

use core::ffi::c_int;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::slice;

use pyo3_ffi as ffi;

use super::object::{Object, Owned, ssize};
use super::raised::{Exception, Raised, Result};
use super::raw::_PyBytes_Resize;

/// A loan of an object's memory. While it lasts the object neither moves nor frees it, whatever
/// other threads do; they may still write there, so nobody here looks at it: only the kernel does.
struct Loan(ffi::Py_buffer);

impl Loan {
    fn of(object: &Object, flags: c_int) -> Result<Self> {
        let mut view = MaybeUninit::<ffi::Py_buffer>::zeroed();
        // SAFETY: a live object, and room for the answer.
        match unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), view.as_mut_ptr(), flags) } {
            // SAFETY: the call has filled it.
            0 => Ok(Self(unsafe { view.assume_init() })),
            _ => Err(Raised::already()),
        }
    }

    fn place(&self) -> (NonNull<u8>, usize) {
        let start = NonNull::new(self.0.buf.cast()).unwrap_or(NonNull::dangling());
        (start, usize::try_from(self.0.len).unwrap_or(0))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // SAFETY: filled by `PyObject_GetBuffer`, and released once.
        unsafe { ffi::PyBuffer_Release(&raw mut self.0) };
    }
}

/// Bytes to be read from an object.
pub(crate) struct Readable(Loan);

impl Readable {
    /// # Errors
    /// `TypeError` ("a bytes-like object is required, not 'str'"), `BufferError` for one that is
    /// not contiguous.
    #[inline]
    pub(crate) fn of(object: &Object) -> Result<Self> {
        Loan::of(object, ffi::PyBUF_SIMPLE).map(Self)
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        let (start, len) = self.0.place();
        // SAFETY: so many bytes for as long as the loan lasts; that another thread writes there at
        // the same time is known to the kernel alone, which is who reads them.
        unsafe { slice::from_raw_parts(start.as_ptr(), len) }
    }
}

/// Room in an object to be written to.
pub(crate) struct Writable(Loan);

impl Writable {
    /// # Errors
    /// `TypeError` with `complaint` for what has no memory that may be written to.
    #[inline]
    pub(crate) fn of(object: &Object, complaint: &str) -> Result<Self> {
        match Loan::of(object, ffi::PyBUF_WRITABLE) {
            Ok(loan) => Ok(Self(loan)),
            Err(raised) => {
                raised.forget();
                let name = object.type_name();
                Err(Exception::Type.raise(&format!(
                    "{complaint} must be read-write bytes-like object, not {name}"
                )))
            }
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.place().1
    }

    #[inline]
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "what is lent is not shared"
    )]
    pub(crate) fn room(&mut self) -> &mut [u8] {
        let (start, len) = self.0.place();
        // SAFETY: as in `Readable::bytes`, and the object allows writing.
        unsafe { slice::from_raw_parts_mut(start.as_ptr(), len) }
    }
}

/// A `bytes` object that is being filled: nobody else has seen it.
pub(crate) struct NewBytes(Owned);

impl NewBytes {
    /// Room for so many bytes, which are not written yet.
    ///
    /// # Errors
    /// `MemoryError`.
    #[inline]
    pub(crate) fn with_room(len: usize) -> Result<Self> {
        // SAFETY: null asks for memory that is not written.
        let bytes = unsafe { ffi::PyBytes_FromStringAndSize(core::ptr::null(), ssize(len)) };
        // SAFETY: a new reference or null.
        unsafe { Owned::from_new(bytes) }.map(Self)
    }

    #[inline]
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "what is lent is not shared"
    )]
    fn room(&mut self) -> &mut [MaybeUninit<u8>] {
        let bytes = self.0.as_ptr();
        // SAFETY: a `bytes` object.
        let len = usize::try_from(unsafe { ffi::PyBytes_Size(bytes) }).unwrap_or(0);
        // SAFETY: as above.
        let start = unsafe { ffi::PyBytes_AS_STRING(bytes) };
        // SAFETY: so many bytes of a new object.
        unsafe { slice::from_raw_parts_mut(start.cast_mut().cast(), len) }
    }

    /// Has it filled from its beginning, and cuts off what was not. `fill` answers what it has
    /// written, which proves that it has.
    ///
    /// # Errors
    /// Those of `fill`; `MemoryError`.
    #[inline]
    pub(crate) fn filled<T>(
        mut self,
        fill: impl FnOnce(&mut [MaybeUninit<u8>]) -> Result<(&mut [u8], T)>,
    ) -> Result<(Owned, T)> {
        let room = self.room();
        let (start, len) = (room.as_ptr().cast::<u8>(), room.len());
        let (written, beside) = fill(room)?;
        let came = if core::ptr::eq(written.as_ptr(), start) {
            written.len()
        } else {
            0
        };
        Ok((self.cut(came, len)?, beside))
    }

    /// The same for memory that has to be written before it is lent; `fill` answers how many bytes
    /// of it count.
    ///
    /// # Errors
    /// As [`NewBytes::filled`].
    pub(crate) fn zeroed<T>(
        mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<(usize, T)>,
    ) -> Result<(Owned, T)> {
        let room = self.room();
        room.fill(MaybeUninit::new(0));
        let (start, len) = (room.as_mut_ptr().cast::<u8>(), room.len());
        // SAFETY: the same room, all of it written now.
        let (came, beside) = fill(unsafe { slice::from_raw_parts_mut(start, len) })?;
        Ok((self.cut(came.min(len), len)?, beside))
    }

    #[inline]
    fn cut(self, came: usize, len: usize) -> Result<Owned> {
        if came == len {
            return Ok(self.0);
        }
        let mut bytes = self.0.into_ptr();
        // SAFETY: the only reference to a new `bytes` object, which is given away and comes back.
        let answer = unsafe { _PyBytes_Resize(&raw mut bytes, ssize(came)) };
        if answer != 0 {
            return Err(Raised::already());
        }
        // SAFETY: the reference that came back.
        unsafe { Owned::from_new(bytes) }
    }
}
