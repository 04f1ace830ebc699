//! Calls of the interpreter that have arguments of their own kind.
#![expect(unsafe_code, reason = "functions with a variable number of arguments")]

use core::ffi::{CStr, c_char, c_int};

use pyo3_ffi as ffi;

use super::object::Object;
use super::raised::{Raised, Result};

unsafe extern "C" {
    fn PySys_Audit(event: *const c_char, format: *const c_char, ...) -> c_int;
    pub(super) fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, len: ffi::Py_ssize_t) -> c_int;
}

/// Tells the auditing hooks of an event (PEP 578), with a tuple of what it is about.
///
/// # Errors
/// What a hook raises, which forbids the event.
pub(crate) fn audit(event: &CStr, about: &Object) -> Result<()> {
    // SAFETY: the format stands for one object, which becomes the arguments if it is a tuple.
    let answer = unsafe { PySys_Audit(event.as_ptr(), c"O".as_ptr(), about.as_ptr()) };
    heard(answer)
}

/// The same with two objects, which costs nothing where there is no hook.
///
/// # Errors
/// As [`audit`].
#[inline]
pub(crate) fn audit_pair(event: &CStr, first: &Object, second: &Object) -> Result<()> {
    // SAFETY: the format stands for two objects.
    let answer = unsafe {
        PySys_Audit(
            event.as_ptr(),
            c"OO".as_ptr(),
            first.as_ptr(),
            second.as_ptr(),
        )
    };
    heard(answer)
}

/// The same with an object and three numbers.
///
/// # Errors
/// As [`audit`].
pub(crate) fn audit_numbers(event: &CStr, about: &Object, [a, b, c]: [c_int; 3]) -> Result<()> {
    // SAFETY: the format stands for an object and three integers.
    heard(unsafe { PySys_Audit(event.as_ptr(), c"Oiii".as_ptr(), about.as_ptr(), a, b, c) })
}

const fn heard(answer: c_int) -> Result<()> {
    match answer {
        0 => Ok(()),
        _ => Err(Raised::already()),
    }
}

/// Warns that something was not closed.
///
/// # Errors
/// The warning itself, where warnings are errors.
pub(super) fn warn_unclosed(what: &Object) -> Result<()> {
    let place = what.as_ptr();
    // SAFETY: the format stands for one object.
    heard(unsafe { ffi::PyErr_ResourceWarning(place, 1, c"unclosed %R".as_ptr(), place) })
}
