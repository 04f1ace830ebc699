//! What the interpreter looks for in the library.
#![expect(unsafe_code, reason = "names that C sees")]

use pyo3_ffi as ffi;

/// The module `_socket`.
#[unsafe(no_mangle)]
pub(super) extern "C" fn PyInit__socket() -> *mut ffi::PyObject {
    crate::socket::MODULE.begin()
}

/// The module `_uring`.
#[unsafe(no_mangle)]
pub(super) extern "C" fn PyInit__uring() -> *mut ffi::PyObject {
    crate::uring::MODULE.begin()
}

/// The module `select`.
#[unsafe(no_mangle)]
pub(super) extern "C" fn PyInit_select() -> *mut ffi::PyObject {
    crate::select::MODULE.begin()
}
