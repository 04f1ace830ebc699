//! Objects: borrowed and owned, and the few kinds of them that addresses and answers are made of.
#![expect(unsafe_code, reason = "each function is one call of the interpreter")]

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::slice;

use pyo3_ffi as ffi;

use super::raised::{Exception, Raised, Result};

/// An object that somebody else owns for as long as the reference lives.
#[repr(transparent)]
pub(crate) struct Object(UnsafeCell<ffi::PyObject>);

/// A reference that is ours, and is given back when it goes out of scope.
pub(crate) struct Owned(NonNull<ffi::PyObject>);

/// What walks through references on behalf of the garbage collector.
pub(crate) type Visit<'a> = dyn FnMut(&Object) + 'a;

impl Object {
    #[inline]
    pub(super) const fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.get()
    }

    /// # Safety
    /// A live object that stays so for `'a`.
    #[inline]
    pub(super) const unsafe fn from_ptr<'a>(object: NonNull<ffi::PyObject>) -> &'a Self {
        // SAFETY: the caller's promise; the layout is that of what it wraps.
        unsafe { &*object.as_ptr().cast::<Self>() }
    }

    /// The same, where null stands for nothing.
    ///
    /// # Safety
    /// As [`Object::from_ptr`], or null.
    #[inline]
    pub(super) const unsafe fn from_nullable<'a>(object: *mut ffi::PyObject) -> Option<&'a Self> {
        match NonNull::new(object) {
            // SAFETY: the caller's promise.
            Some(object) => Some(unsafe { Self::from_ptr(object) }),
            None => None,
        }
    }

    /// One more reference to it.
    #[inline]
    pub(crate) fn share(&self) -> Owned {
        let object = NonNull::from(&self.0).cast::<ffi::PyObject>();
        // SAFETY: it is alive as long as it is borrowed.
        unsafe { ffi::Py_INCREF(object.as_ptr()) };
        Owned(object)
    }

    /// True for `None`.
    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        // SAFETY: asks for the address of an object that lives as long as the interpreter.
        self.as_ptr() == unsafe { ffi::Py_None() }
    }

    /// The name of its type.
    pub(crate) fn type_name(&self) -> String {
        // SAFETY: every object has a type.
        let kind = unsafe { ffi::Py_TYPE(self.as_ptr()) };
        // SAFETY: a type is alive as long as its objects, and has a name.
        let name = unsafe { (*kind).tp_name };
        // SAFETY: the name is a string that ends with zero, and lives as long as the type.
        let name = unsafe { CStr::from_ptr(name) };
        name.to_string_lossy().into_owned()
    }

    #[inline]
    pub(crate) fn is_text(&self) -> bool {
        // SAFETY: a look at the type of a live object.
        unsafe { ffi::PyUnicode_Check(self.as_ptr()) != 0 }
    }

    #[inline]
    pub(crate) fn is_bytes(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::PyBytes_Check(self.as_ptr()) != 0 }
    }

    #[inline]
    pub(crate) fn is_byte_array(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::PyByteArray_Check(self.as_ptr()) != 0 }
    }

    #[inline]
    pub(crate) fn is_integer(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::PyLong_Check(self.as_ptr()) != 0 }
    }

    /// True for an integer that is of no subclass.
    pub(crate) fn is_exactly_integer(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::PyLong_CheckExact(self.as_ptr()) != 0 }
    }

    #[inline]
    pub(crate) fn is_float(&self) -> bool {
        // SAFETY: as above.
        unsafe { ffi::PyFloat_Check(self.as_ptr()) != 0 }
    }

    /// The elements of a tuple; `None` if it is none.
    #[inline]
    pub(crate) fn tuple(&self) -> Option<&[&Self]> {
        // SAFETY: as above.
        if unsafe { ffi::PyTuple_Check(self.as_ptr()) } == 0 {
            return None;
        }
        // SAFETY: a tuple.
        let len = usize::try_from(unsafe { ffi::PyTuple_GET_SIZE(self.as_ptr()) }).unwrap_or(0);
        let tuple = self.as_ptr().cast::<ffi::PyTupleObject>();
        // SAFETY: the place of a field of a live tuple.
        let items = unsafe { &raw const (*tuple).ob_item };
        // SAFETY: a tuple holds so many references, none of them null, for as long as it lives, and
        // a reference has the layout of a pointer.
        Some(unsafe { slice::from_raw_parts(items.cast::<&Self>(), len) })
    }

    /// The text, if it is one.
    ///
    /// # Errors
    /// Raised for a text with lone surrogates.
    pub(crate) fn text(&self) -> Result<&str> {
        let mut len = 0;
        // SAFETY: raises for what is no text.
        let start = unsafe { ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &raw mut len) };
        // SAFETY: so many bytes, kept by the object as long as it lives.
        unsafe { bytes_at(start, len) }
            .and_then(|bytes| core::str::from_utf8(bytes).ok())
            .ok_or_else(Raised::already)
    }

    /// The bytes of a `bytes` object.
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if !self.is_bytes() {
            return None;
        }
        // SAFETY: a `bytes` object.
        let len = unsafe { ffi::PyBytes_Size(self.as_ptr()) };
        // SAFETY: as above.
        let start = unsafe { ffi::PyBytes_AS_STRING(self.as_ptr()) };
        // SAFETY: so many bytes, which never change as long as the object lives.
        unsafe { bytes_at(start, len) }
    }

    /// The bytes of an ASCII text, without a copy; `None` for all else.
    #[inline]
    pub(crate) fn ascii(&self) -> Option<&str> {
        if !self.is_text() {
            return None;
        }
        let mut len = 0;
        // SAFETY: a text.
        if unsafe { ffi::PyUnicode_IS_COMPACT_ASCII(self.as_ptr()) } == 0 {
            return None;
        }
        // SAFETY: a text; ASCII ones are their own UTF-8.
        let start = unsafe { ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &raw mut len) };
        // SAFETY: as in `text`.
        unsafe { bytes_at(start, len) }.and_then(|bytes| core::str::from_utf8(bytes).ok())
    }

    /// The text encoded, by a codec of the interpreter's.
    ///
    /// # Errors
    /// What the codec raises.
    pub(crate) fn encoded(&self, codec: &CStr) -> Result<Owned> {
        // SAFETY: raises for what is no text; no error handler means the strict one.
        let bytes = unsafe {
            ffi::PyUnicode_AsEncodedString(self.as_ptr(), codec.as_ptr(), core::ptr::null())
        };
        // SAFETY: a new reference or null.
        unsafe { Owned::from_new(bytes) }
    }

    /// A text as the file system has it: `bytes`.
    ///
    /// # Errors
    /// Raised for a text that has no such form.
    pub(crate) fn encoded_for_files(&self) -> Result<Owned> {
        // SAFETY: raises for what is no text.
        let bytes = unsafe { ffi::PyUnicode_EncodeFSDefault(self.as_ptr()) };
        // SAFETY: a new reference or null.
        unsafe { Owned::from_new(bytes) }
    }

    /// What `str()` makes of it.
    ///
    /// # Errors
    /// What `__str__` raises.
    #[cfg(Py_3_12)]
    pub(crate) fn shown(&self) -> Result<Owned> {
        // SAFETY: a live object.
        let text = unsafe { ffi::PyObject_Str(self.as_ptr()) };
        // SAFETY: a new reference or null.
        unsafe { Owned::from_new(text) }
    }

    /// Its truth.
    ///
    /// # Errors
    /// What `__bool__` raises.
    pub(crate) fn is_true(&self) -> Result<bool> {
        // SAFETY: a live object.
        match unsafe { ffi::PyObject_IsTrue(self.as_ptr()) } {
            -1 => Err(Raised::already()),
            answer => Ok(answer != 0),
        }
    }

    /// All that iterating over it gives, as a tuple: what it is afterwards does not matter then.
    ///
    /// # Errors
    /// A `TypeError` with `complaint` for what cannot be iterated over.
    pub(crate) fn collected(&self, complaint: &CStr) -> Result<Owned> {
        // SAFETY: a live object and a string.
        let list = unsafe { ffi::PySequence_Fast(self.as_ptr(), complaint.as_ptr()) };
        // SAFETY: a new reference or null.
        let list = unsafe { Owned::from_new(list) }?;
        // SAFETY: a list or a tuple.
        let tuple = unsafe { ffi::PySequence_Tuple(list.as_ptr()) };
        // SAFETY: a new reference or null.
        unsafe { Owned::from_new(tuple) }
    }

    /// Shows each element of a sequence, which may change meanwhile.
    ///
    /// # Errors
    /// A `TypeError` with `complaint` for what cannot be iterated over; what `show` raises.
    pub(crate) fn each(
        &self,
        complaint: &CStr,
        mut show: impl FnMut(&Self) -> Result<()>,
    ) -> Result<()> {
        // SAFETY: a live object and a string.
        let list = unsafe { ffi::PySequence_Fast(self.as_ptr(), complaint.as_ptr()) };
        // SAFETY: a new reference or null.
        let list = unsafe { Owned::from_new(list) }?;
        let mut at = 0;
        // SAFETY: a list or a tuple.
        while at < unsafe { ffi::PySequence_Size(list.as_ptr()) } {
            // SAFETY: as above; there are more elements than that.
            let item = unsafe { ffi::PySequence_GetItem(list.as_ptr(), at) };
            // SAFETY: a new reference or null.
            show(&*unsafe { Owned::from_new(item) }?)?;
            at += 1;
        }
        Ok(())
    }

    /// The descriptor that it is, or that its `fileno()` tells.
    ///
    /// # Errors
    /// `TypeError` for what has none, `ValueError` for a negative one.
    pub(crate) fn descriptor(&self) -> Result<i32> {
        // SAFETY: a live object.
        match unsafe { ffi::PyObject_AsFileDescriptor(self.as_ptr()) } {
            -1 => Err(Raised::already()),
            fd => Ok(fd),
        }
    }

    /// The text that it says, for errors.
    pub(crate) fn is_equal_text(&self, text: &str) -> bool {
        self.ascii() == Some(text)
    }
}

/// # Safety
/// `start` is null, or so many bytes can be read there for `'a`.
unsafe fn bytes_at<'a>(start: *const c_char, len: ffi::Py_ssize_t) -> Option<&'a [u8]> {
    let len = usize::try_from(len).ok()?;
    let start = NonNull::new(start.cast_mut().cast::<u8>())?;
    // SAFETY: the caller's promise.
    Some(unsafe { slice::from_raw_parts(start.as_ptr(), len) })
}

impl Owned {
    /// Takes over what a call of the interpreter has answered: null means that it raised.
    ///
    /// # Safety
    /// A reference that is given to the caller, or null with an exception raised.
    #[inline]
    pub(super) unsafe fn from_new(object: *mut ffi::PyObject) -> Result<Self> {
        NonNull::new(object).map(Self).ok_or_else(Raised::already)
    }

    /// Gives the reference away.
    #[inline]
    pub(super) fn into_ptr(self) -> *mut ffi::PyObject {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// `None`.
    #[inline]
    pub(crate) fn none() -> Self {
        // SAFETY: the address of an object that lives as long as the interpreter.
        let none = unsafe { ffi::Py_None() };
        // SAFETY: as above.
        unsafe { Self::shared(none) }
    }

    /// `True` or `False`.
    pub(crate) fn boolean(value: bool) -> Self {
        let object = if value {
            // SAFETY: as for `None`.
            unsafe { ffi::Py_True() }
        } else {
            // SAFETY: as for `None`.
            unsafe { ffi::Py_False() }
        };
        // SAFETY: as above.
        unsafe { Self::shared(object) }
    }

    /// # Safety
    /// A live object, not null.
    unsafe fn shared(object: *mut ffi::PyObject) -> Self {
        // SAFETY: the caller's promise.
        unsafe { ffi::Py_INCREF(object) };
        // SAFETY: the caller's promise.
        Self(unsafe { NonNull::new_unchecked(object) })
    }

    /// A text.
    ///
    /// # Errors
    /// Raised when memory has run out, as in all that follow.
    pub(crate) fn text(text: &str) -> Result<Self> {
        // SAFETY: so many bytes of UTF-8, which are copied.
        let object =
            unsafe { ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), ssize(text.len())) };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(object) }
    }

    /// A text from bytes that should be UTF-8.
    ///
    /// # Errors
    /// `UnicodeDecodeError` if they are not.
    pub(crate) fn decoded(bytes: &[u8]) -> Result<Self> {
        // SAFETY: so many bytes, which are copied.
        let object =
            unsafe { ffi::PyUnicode_FromStringAndSize(bytes.as_ptr().cast(), ssize(bytes.len())) };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(object) }
    }

    /// A text from bytes of the file system's: what is no text survives (PEP 383).
    pub(crate) fn decoded_from_files(bytes: &[u8]) -> Result<Self> {
        // SAFETY: so many bytes, which are copied.
        let object = unsafe {
            ffi::PyUnicode_DecodeFSDefaultAndSize(bytes.as_ptr().cast(), ssize(bytes.len()))
        };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(object) }
    }

    pub(crate) fn bytes_of(bytes: &[u8]) -> Result<Self> {
        // SAFETY: so many bytes, which are copied.
        let object =
            unsafe { ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), ssize(bytes.len())) };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(object) }
    }

    #[inline]
    pub(crate) fn integer(value: i64) -> Result<Self> {
        // SAFETY: takes an integer.
        let object = unsafe { ffi::PyLong_FromLongLong(value) };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(object) }
    }

    pub(crate) fn unsigned(value: u64) -> Result<Self> {
        // SAFETY: takes an integer.
        let object = unsafe { ffi::PyLong_FromUnsignedLongLong(value) };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(object) }
    }

    /// A count of bytes.
    #[inline]
    pub(crate) fn count(value: usize) -> Result<Self> {
        // SAFETY: takes an integer.
        let object = unsafe { ffi::PyLong_FromSize_t(value) };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(object) }
    }

    pub(crate) fn float(value: f64) -> Result<Self> {
        // SAFETY: takes a number.
        let object = unsafe { ffi::PyFloat_FromDouble(value) };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(object) }
    }

    /// A tuple of these.
    #[inline]
    pub(crate) fn tuple_of<const N: usize>(items: [Self; N]) -> Result<Self> {
        // SAFETY: takes a length.
        let tuple = unsafe { ffi::PyTuple_New(ssize(N)) };
        // SAFETY: a new reference or null.
        let tuple = unsafe { Self::from_new(tuple) }?;
        for (place, item) in (0..).zip(items) {
            // SAFETY: a new tuple that nobody has seen, with this place still empty; it takes over
            // the reference.
            unsafe { ffi::PyTuple_SET_ITEM(tuple.as_ptr(), place, item.into_ptr()) };
        }
        Ok(tuple)
    }

    /// A list of these.
    pub(crate) fn list_of(items: impl IntoIterator<Item = Result<Self>>) -> Result<Self> {
        // SAFETY: takes a length.
        let list = unsafe { ffi::PyList_New(0) };
        // SAFETY: a new reference or null.
        let list = unsafe { Self::from_new(list) }?;
        for item in items {
            let item = item?;
            // SAFETY: a list and an object, to which the list takes a reference of its own.
            if unsafe { ffi::PyList_Append(list.as_ptr(), item.as_ptr()) } != 0 {
                return Err(Raised::already());
            }
        }
        Ok(list)
    }

    /// A new exception class with a base.
    pub(crate) fn exception(name: &CStr, base: Exception) -> Result<Self> {
        // SAFETY: a string, a class, and no dictionary.
        let class = unsafe {
            ffi::PyErr_NewException(name.as_ptr(), base.class().as_ptr(), core::ptr::null_mut())
        };
        // SAFETY: a new reference or null.
        unsafe { Self::from_new(class) }
    }
}

impl Deref for Owned {
    type Target = Object;

    #[inline]
    fn deref(&self) -> &Object {
        // SAFETY: alive as long as this reference to it.
        unsafe { Object::from_ptr(self.0) }
    }
}

impl Drop for Owned {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the reference is ours and is given back once.
        unsafe { ffi::Py_DECREF(self.0.as_ptr()) };
    }
}

/// A length as the interpreter counts; none is longer than it can say.
#[inline]
pub(super) fn ssize(len: usize) -> ffi::Py_ssize_t {
    ffi::Py_ssize_t::try_from(len).unwrap_or(ffi::Py_ssize_t::MAX)
}
