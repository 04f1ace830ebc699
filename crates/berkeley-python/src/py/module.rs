//! Modules: made anew in each interpreter that imports them, with a state of their own.
#![expect(
    unsafe_code,
    reason = "the definition and the state of a module are the interpreter's"
)]

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int, c_void};
use core::marker::PhantomData;
use core::ptr::{self, NonNull};

use pyo3_ffi as ffi;

use super::call::{Methods, Receiver, function, status};
use super::object::{Object, Owned, Visit};
use super::raised::{Exception, Raised, Result};

/// A module object.
#[repr(transparent)]
pub(crate) struct Module(Object);

// SAFETY: functions of a module are called on it.
unsafe impl Receiver for Module {}

/// What a module keeps.
pub(crate) trait State: Sized + 'static {
    /// Shows the garbage collector each object that it holds.
    fn visit(&self, visit: &mut Visit<'_>);
}

/// The state as it lies in a module: nothing before it is made and after it was cleared.
type Place<S> = Option<Box<S>>;

impl Module {
    /// The module itself.
    pub(crate) const fn object(&self) -> &Object {
        &self.0
    }

    /// Gives it something by a name.
    ///
    /// # Errors
    /// What the interpreter raises.
    pub(crate) fn add(&self, name: &CStr, value: &Object) -> Result<()> {
        // SAFETY: a module, a string and an object, to which the module takes a reference.
        match unsafe { ffi::PyModule_AddObjectRef(self.0.as_ptr(), name.as_ptr(), value.as_ptr()) }
        {
            0 => Ok(()),
            _ => Err(Raised::already()),
        }
    }

    /// What it keeps.
    ///
    /// # Errors
    /// `SystemError` for one that is at its end.
    ///
    /// # Safety
    /// It is a module of the definition with this state.
    unsafe fn state<S: State>(&self) -> Result<&S> {
        // SAFETY: a module.
        let place = unsafe { ffi::PyModule_GetState(self.0.as_ptr()) };
        // SAFETY: the caller's promise: the state lies there, or zeros, which are `None`.
        let place = unsafe { place.cast::<Place<S>>().as_ref() };
        place
            .and_then(|state| state.as_deref())
            .ok_or_else(|| Exception::System.raise("the module has been cleared"))
    }
}

/// The definition of a module.
pub(crate) struct Definition<S, const SLOTS: usize> {
    def: UnsafeCell<ffi::PyModuleDef>,
    slots: UnsafeCell<[ffi::PyModuleDef_Slot; SLOTS]>,
    state: PhantomData<fn() -> S>,
}

// SAFETY: only the interpreter writes to it, as it does to those of its own modules.
unsafe impl<S, const SLOTS: usize> Sync for Definition<S, SLOTS> {}

/// How many slots there are, with the one that ends the list.
pub(crate) const SLOTS: usize = 3;

impl<S: State> Definition<S, SLOTS> {
    /// A module that `fill` makes ready.
    pub(crate) const fn new<F, const N: usize>(
        name: &'static CStr,
        doc: &'static CStr,
        methods: &'static Methods<N>,
        _fill: F,
    ) -> Self
    where
        F: Fn(&Module) -> Result<S> + Copy,
    {
        let end = ffi::PyModuleDef_Slot {
            slot: 0,
            value: ptr::null_mut(),
        };
        let fill = ffi::PyModuleDef_Slot {
            slot: ffi::Py_mod_exec,
            value: fill::<S, F> as *mut c_void,
        };
        #[cfg(Py_3_12)]
        let interpreters = ffi::PyModuleDef_Slot {
            slot: ffi::Py_mod_multiple_interpreters,
            value: ffi::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
        };
        #[cfg(not(Py_3_12))]
        let interpreters = end;
        Self {
            def: UnsafeCell::new(ffi::PyModuleDef {
                m_base: ffi::PyModuleDef_HEAD_INIT,
                m_name: name.as_ptr(),
                m_doc: doc.as_ptr(),
                m_size: size_of::<Place<S>>().cast_signed(),
                m_methods: methods.as_ptr(),
                m_slots: ptr::null_mut(),
                m_traverse: Some(traverse::<S>),
                m_clear: Some(clear::<S>),
                m_free: Some(free::<S>),
            }),
            slots: UnsafeCell::new([fill, interpreters, end]),
            state: PhantomData,
        }
    }

    /// What the interpreter gets when it asks for the module.
    pub(super) fn begin(&'static self) -> *mut ffi::PyObject {
        let def = self.def.get();
        // SAFETY: the place of a field, which is written with the same value each time, while the
        // interpreter holds its lock for imports.
        unsafe { (*def).m_slots = self.slots.get().cast() };
        // SAFETY: a definition that lives for ever.
        unsafe { ffi::PyModuleDef_Init(def) }
    }

    /// What the module keeps of which this is an object.
    ///
    /// # Errors
    /// As [`Definition::state_of_class`].
    pub(crate) fn state<'a>(&'static self, module: &'a Module) -> Result<&'a S> {
        // SAFETY: a module; the answer is compared, not followed.
        let def = unsafe { ffi::PyModule_GetDef(module.0.as_ptr()) };
        if !ptr::eq(def, self.def.get()) {
            return Err(Exception::System.raise("a function was called on another module"));
        }
        // SAFETY: of this definition.
        unsafe { module.state() }
    }

    /// What the module keeps that a class, or the class it is derived from, was made in.
    ///
    /// # Errors
    /// `TypeError` for other classes; `SystemError` for a module at its end.
    pub(crate) fn state_of_class<'a>(&'static self, class: &'a Object) -> Result<&'a S> {
        // SAFETY: a class.
        let module = unsafe { ffi::PyType_GetModuleByDef(class.as_ptr().cast(), self.def.get()) };
        // SAFETY: null, or a module that lives as long as the class.
        let module = unsafe { Object::from_nullable(module) }.ok_or_else(Raised::already)?;
        // SAFETY: `Module` is an object by another name.
        let module = unsafe { &*ptr::from_ref(module).cast::<Module>() };
        // SAFETY: of this definition.
        unsafe { module.state() }
    }
}

/// # Safety
/// A live module of the definition with this state.
unsafe fn place<'a, S: State>(module: *mut ffi::PyObject) -> Option<&'a mut Place<S>> {
    // SAFETY: the caller's promise.
    let place = unsafe { ffi::PyModule_GetState(module) };
    // SAFETY: the state, or zeros; the interpreter calls with nobody else using it.
    unsafe { place.cast::<Place<S>>().as_mut() }
}

unsafe extern "C" fn fill<S: State, F>(module: *mut ffi::PyObject) -> c_int
where
    F: Fn(&Module) -> Result<S> + Copy,
{
    status(|| {
        let Some(object) = NonNull::new(module) else {
            return Err(Exception::System.raise("no module"));
        };
        // SAFETY: a live module, seen as one.
        let filled = function::<F>()(unsafe { object.cast::<Module>().as_ref() })?;
        // SAFETY: as the interpreter calls it.
        if let Some(place) = unsafe { place::<S>(module) } {
            *place = Some(Box::new(filled));
        }
        Ok(())
    })
}

unsafe extern "C" fn traverse<S: State>(
    module: *mut ffi::PyObject,
    visit: ffi::visitproc,
    closure: *mut c_void,
) -> c_int {
    let mut answer = 0;
    // SAFETY: as the interpreter calls it.
    if let Some(state) = unsafe { place::<S>(module) }.and_then(|place| place.as_deref()) {
        state.visit(&mut |object| {
            if answer == 0 {
                // SAFETY: as the garbage collector asks for it.
                answer = unsafe { visit(object.as_ptr(), closure) };
            }
        });
    }
    answer
}

unsafe extern "C" fn clear<S: State>(module: *mut ffi::PyObject) -> c_int {
    // SAFETY: as the interpreter calls it.
    if let Some(place) = unsafe { place::<S>(module) } {
        drop(place.take());
    }
    0
}

unsafe extern "C" fn free<S: State>(module: *mut c_void) {
    // SAFETY: as the interpreter calls it.
    if let Some(place) = unsafe { place::<S>(module.cast()) } {
        drop(place.take());
    }
}

/// What `_ssl` finds sockets by: `PySocketModule_APIObject` of CPython's `socketmodule.h`.
#[repr(C)]
struct SocketApi {
    class: *mut ffi::PyObject,
    error: *mut ffi::PyObject,
    timeout: *mut ffi::PyObject,
}

/// The capsule with these. It borrows the class, which the module that has both keeps.
///
/// # Errors
/// `MemoryError`.
pub(crate) fn socket_api(class: &Object) -> Result<Owned> {
    let api = Box::into_raw(Box::new(SocketApi {
        class: class.as_ptr(),
        error: Exception::Os.class().as_ptr(),
        timeout: Exception::TimeOut.class().as_ptr(),
    }));
    let name = SOCKET_API.as_ptr();
    // SAFETY: an address that is not null, a string that lives for ever, and what frees it.
    let capsule = unsafe { ffi::PyCapsule_New(api.cast(), name, Some(free_api)) };
    // SAFETY: a new reference or null.
    unsafe { Owned::from_new(capsule) }
}

const SOCKET_API: &CStr = c"_socket.CAPI";

unsafe extern "C" fn free_api(capsule: *mut ffi::PyObject) {
    // SAFETY: a capsule of this name.
    let api = unsafe { ffi::PyCapsule_GetPointer(capsule, SOCKET_API.as_ptr()) };
    if !api.is_null() {
        // SAFETY: made by `socket_api`, and freed once.
        drop(unsafe { Box::from_raw(api.cast::<SocketApi>()) });
    }
}

/// What `_ssl` calls where a call of its own on a socket has failed: raises what `errno` says.
pub(crate) type ErrorHandler = unsafe extern "C" fn() -> *mut ffi::PyObject;

/// That handler.
pub(crate) unsafe extern "C" fn raise_errno() -> *mut ffi::PyObject {
    // SAFETY: a class.
    unsafe { ffi::PyErr_SetFromErrno(Exception::Os.class().as_ptr()) }
}
