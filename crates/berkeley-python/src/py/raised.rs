//! Exceptions.
#![expect(unsafe_code, reason = "each function is one call of the interpreter")]

use core::ptr::NonNull;

use berkeley::Errno;
use pyo3_ffi as ffi;

use super::object::{Object, Owned};

/// An exception has been raised: it waits in the interpreter for the caller.
#[derive(Debug)]
#[must_use]
pub(crate) struct Raised(());

pub(crate) type Result<T, E = Raised> = core::result::Result<T, E>;

/// The built-in exceptions that are raised here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exception {
    Key,
    Os,
    Overflow,
    Runtime,
    System,
    TimeOut,
    Type,
    Value,
}

impl Exception {
    /// The class.
    pub(crate) fn class(self) -> &'static Object {
        // Each is a pointer that the interpreter has set before any module is loaded.
        let class = match self {
            // SAFETY: read only.
            Self::Key => unsafe { ffi::PyExc_KeyError },
            // SAFETY: as above.
            Self::Os => unsafe { ffi::PyExc_OSError },
            // SAFETY: as above.
            Self::Overflow => unsafe { ffi::PyExc_OverflowError },
            // SAFETY: as above.
            Self::Runtime => unsafe { ffi::PyExc_RuntimeError },
            // SAFETY: as above.
            Self::System => unsafe { ffi::PyExc_SystemError },
            // SAFETY: as above.
            Self::TimeOut => unsafe { ffi::PyExc_TimeoutError },
            // SAFETY: as above.
            Self::Type => unsafe { ffi::PyExc_TypeError },
            // SAFETY: as above.
            Self::Value => unsafe { ffi::PyExc_ValueError },
        };
        let class = NonNull::new(class).unwrap_or(NonNull::dangling());
        // SAFETY: the built-in exceptions live as long as the interpreter, and are never null.
        unsafe { Object::from_ptr(class) }
    }

    /// Raises it with words.
    pub(crate) fn raise(self, words: &str) -> Raised {
        match Owned::text(words) {
            Ok(words) => Raised::of(self.class(), &words),
            Err(raised) => raised,
        }
    }
}

impl Raised {
    /// A call of the interpreter has raised.
    pub(crate) const fn already() -> Self {
        Self(())
    }

    /// Raises an exception of a class with a value: its argument, or the tuple of them.
    pub(crate) fn of(class: &Object, value: &Object) -> Self {
        // SAFETY: a class and an object, which the interpreter takes references to.
        unsafe { ffi::PyErr_SetObject(class.as_ptr(), value.as_ptr()) };
        Self(())
    }

    /// Raises `OSError`, or the subclass of it that belongs to the number.
    pub(crate) fn errno(errno: Errno) -> Self {
        // SAFETY: the place of the calling thread's own number.
        let place = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        unsafe { place.write(errno.raw()) };
        // SAFETY: a class.
        unsafe { ffi::PyErr_SetFromErrno(Exception::Os.class().as_ptr()) };
        Self(())
    }

    /// True if what was raised is of this class.
    pub(crate) fn is(&self, exception: Exception) -> bool {
        // SAFETY: an exception has been raised.
        unsafe { ffi::PyErr_ExceptionMatches(exception.class().as_ptr()) != 0 }
    }

    /// Forgets what was raised.
    pub(crate) fn forget(self) {
        // SAFETY: takes nothing.
        unsafe { ffi::PyErr_Clear() };
    }

    /// True if it is a warning that became an error.
    pub(crate) fn is_warning(&self) -> bool {
        // SAFETY: read only.
        let class = unsafe { ffi::PyExc_Warning };
        // SAFETY: an exception has been raised, and this is a class.
        unsafe { ffi::PyErr_ExceptionMatches(class) != 0 }
    }

    /// Puts what may have been raised before out of the way.
    pub(super) fn put_aside() -> PutAside {
        PutAside::new()
    }

    /// Reports it where there is no caller to report it to.
    pub(crate) fn report(self, about: &Object) {
        // SAFETY: a live object.
        unsafe { ffi::PyErr_WriteUnraisable(about.as_ptr()) };
    }
}

/// What was raised before a finaliser began.
#[cfg(Py_3_12)]
pub(super) struct PutAside(*mut ffi::PyObject);

#[cfg(Py_3_12)]
impl PutAside {
    fn new() -> Self {
        // SAFETY: takes nothing; the reference is ours then.
        Self(unsafe { ffi::PyErr_GetRaisedException() })
    }

    pub(super) fn put_back(self) {
        // SAFETY: the reference from above, or null; it is given back.
        unsafe { ffi::PyErr_SetRaisedException(self.0) };
    }
}

/// What was raised before a finaliser began.
#[cfg(not(Py_3_12))]
pub(super) struct PutAside([*mut ffi::PyObject; 3]);

#[cfg(not(Py_3_12))]
impl PutAside {
    fn new() -> Self {
        let (mut class, mut value, mut trace) = (
            core::ptr::null_mut(),
            core::ptr::null_mut(),
            core::ptr::null_mut(),
        );
        // SAFETY: three places for references, which are ours then.
        unsafe { ffi::PyErr_Fetch(&raw mut class, &raw mut value, &raw mut trace) };
        Self([class, value, trace])
    }

    pub(super) fn put_back(self) {
        let [class, value, trace] = self.0;
        // SAFETY: the references from above, or null; they are given back.
        unsafe { ffi::PyErr_Restore(class, value, trace) };
    }
}
