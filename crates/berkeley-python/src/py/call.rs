//! How the interpreter calls functions of ours: each is a safe one behind a door of C.
#![expect(unsafe_code, reason = "functions that the interpreter calls")]

use core::ffi::CStr;
use core::ptr::NonNull;
use core::slice;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3_ffi as ffi;

use super::args::Arguments;
use super::object::{Object, Owned};
use super::raised::{Exception, Raised, Result};

/// What a method is called on: an object, or a view of its memory.
///
/// # Safety
/// An object of the class that has the method can be seen as this.
pub(crate) unsafe trait Receiver {}

// SAFETY: that is what every object is.
unsafe impl Receiver for Object {}

/// A function of a module or a method of a class, as the interpreter lists it.
#[repr(transparent)]
pub(crate) struct Method(ffi::PyMethodDef);

/// The list of them, with the empty entry that ends it.
#[repr(C)]
pub(crate) struct Methods<const N: usize> {
    methods: [Method; N],
    end: Method,
}

// SAFETY: the interpreter reads it only, and it holds addresses of constants.
unsafe impl<const N: usize> Sync for Methods<N> {}

impl<const N: usize> Methods<N> {
    pub(crate) const fn new(methods: [Method; N]) -> Self {
        Self {
            methods,
            end: Method(ffi::PyMethodDef::zeroed()),
        }
    }

    /// Where it begins.
    pub(super) const fn as_ptr(&'static self) -> *mut ffi::PyMethodDef {
        core::ptr::from_ref(self).cast_mut().cast()
    }
}

const _: () = {
    type Two = Methods<2>;
    assert!(core::mem::offset_of!(Two, methods) == 0);
    assert!(core::mem::offset_of!(Two, end) == 2 * size_of::<ffi::PyMethodDef>());
};

impl Method {
    /// One without arguments.
    pub(crate) const fn bare<T: Receiver, F>(
        name: &'static CStr,
        doc: &'static CStr,
        _call: F,
    ) -> Self
    where
        F: Fn(&T) -> Result<Owned> + Copy,
    {
        let door = ffi::PyMethodDefPointer {
            PyCFunction: bare::<T, F>,
        };
        Self::with(name, doc, door, ffi::METH_NOARGS)
    }

    /// One with one argument.
    pub(crate) const fn one<T: Receiver, F>(
        name: &'static CStr,
        doc: &'static CStr,
        _call: F,
    ) -> Self
    where
        F: Fn(&T, &Object) -> Result<Owned> + Copy,
    {
        let door = ffi::PyMethodDefPointer {
            PyCFunction: one::<T, F>,
        };
        Self::with(name, doc, door, ffi::METH_O)
    }

    /// One with arguments that have places but no names.
    pub(crate) const fn placed<T: Receiver, F>(
        name: &'static CStr,
        doc: &'static CStr,
        _call: F,
    ) -> Self
    where
        F: Fn(&T, &[&Object]) -> Result<Owned> + Copy,
    {
        let door = ffi::PyMethodDefPointer {
            PyCFunctionFast: placed::<T, F>,
        };
        Self::with(name, doc, door, ffi::METH_FASTCALL)
    }

    /// One with arguments that may be named.
    pub(crate) const fn named<T: Receiver, F>(
        name: &'static CStr,
        doc: &'static CStr,
        _call: F,
    ) -> Self
    where
        F: Fn(&T, &Arguments<'_>) -> Result<Owned> + Copy,
    {
        let door = ffi::PyMethodDefPointer {
            PyCFunctionFastWithKeywords: named::<T, F>,
        };
        Self::with(name, doc, door, ffi::METH_FASTCALL | ffi::METH_KEYWORDS)
    }

    /// The same, called on the class.
    pub(crate) const fn on_class(self) -> Self {
        let mut def = self.0;
        def.ml_flags |= ffi::METH_CLASS;
        Self(def)
    }

    const fn with(
        name: &'static CStr,
        doc: &'static CStr,
        door: ffi::PyMethodDefPointer,
        flags: i32,
    ) -> Self {
        Self(ffi::PyMethodDef {
            ml_name: name.as_ptr(),
            ml_meth: door,
            ml_flags: flags,
            ml_doc: doc.as_ptr(),
        })
    }
}

/// A function that is its type: there is one value of it, so none has to be kept.
#[inline]
pub(super) fn function<F: Copy>() -> F {
    const {
        assert!(
            size_of::<F>() == 0,
            "functions only, nothing that they capture"
        )
    };
    // SAFETY: a type without bytes, of which a value was shown when the door was made.
    unsafe { NonNull::<F>::dangling().read() }
}

/// Answers the interpreter. A panic is a fault of ours; it must not go through the interpreter.
#[inline]
pub(super) fn answer(call: impl FnOnce() -> Result<Owned>) -> *mut ffi::PyObject {
    match guarded(call) {
        Ok(object) => object.into_ptr(),
        Err(_raised) => core::ptr::null_mut(),
    }
}

/// The same for calls that answer with an integer.
#[inline]
pub(super) fn status(call: impl FnOnce() -> Result<()>) -> core::ffi::c_int {
    match guarded(call) {
        Ok(()) => 0,
        Err(_raised) => -1,
    }
}

#[inline]
pub(super) fn guarded<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_panic| Err(panicked()))
}

#[cold]
fn panicked() -> Raised {
    Exception::System.raise("a fault in the library: its message is on the standard error output")
}

/// # Safety
/// As the interpreter calls a method: a live object of the class.
#[inline]
unsafe fn receiver<'a, T: Receiver>(object: *mut ffi::PyObject) -> &'a T {
    // SAFETY: the promises of the caller and of the receiver.
    unsafe { &*object.cast::<T>() }
}

/// # Safety
/// So many live objects stand there, or none and the address is null.
#[inline]
unsafe fn objects<'a>(start: *const *mut ffi::PyObject, len: usize) -> &'a [&'a Object] {
    if start.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise; a reference has the layout of a pointer.
    unsafe { slice::from_raw_parts(start.cast::<&Object>(), len) }
}

unsafe extern "C" fn bare<T: Receiver, F>(
    this: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&T) -> Result<Owned> + Copy,
{
    // SAFETY: called as a method.
    let this = unsafe { receiver::<T>(this) };
    answer(|| function::<F>()(this))
}

unsafe extern "C" fn one<T: Receiver, F>(
    this: *mut ffi::PyObject,
    argument: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&T, &Object) -> Result<Owned> + Copy,
{
    // SAFETY: called as a method.
    let this = unsafe { receiver::<T>(this) };
    // SAFETY: a live object.
    let argument = unsafe { receiver::<Object>(argument) };
    answer(|| function::<F>()(this, argument))
}

unsafe extern "C" fn placed<T: Receiver, F>(
    this: *mut ffi::PyObject,
    arguments: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject
where
    F: Fn(&T, &[&Object]) -> Result<Owned> + Copy,
{
    // SAFETY: called as a method.
    let this = unsafe { receiver::<T>(this) };
    let count = usize::try_from(count).unwrap_or(0);
    // SAFETY: so many live objects.
    let arguments = unsafe { objects(arguments, count) };
    answer(|| function::<F>()(this, arguments))
}

unsafe extern "C" fn named<T: Receiver, F>(
    this: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    F: Fn(&T, &Arguments<'_>) -> Result<Owned> + Copy,
{
    // SAFETY: called as a method.
    let this = unsafe { receiver::<T>(this) };
    // SAFETY: null, or a live tuple.
    let names = unsafe { Object::from_nullable(names) }
        .and_then(Object::tuple)
        .unwrap_or_default();
    let placed = usize::try_from(count).unwrap_or(0);
    // SAFETY: first those with places, then as many as there are names.
    let all = unsafe { objects(arguments, placed + names.len()) };
    answer(|| {
        let (placed, values) = all.split_at_checked(placed).unwrap_or_default();
        function::<F>()(this, &Arguments::new(placed, names, values))
    })
}
