//! Classes: types of the interpreter whose objects hold a value of ours behind their header.
#![expect(
    unsafe_code,
    reason = "the memory of objects, from the first moment to the last"
)]

use core::ffi::{CStr, c_int, c_uint, c_void};
use core::mem::offset_of;
use core::ops::Deref;
use core::ptr::{self, NonNull};

use pyo3_ffi as ffi;

use super::args::Arguments;
use super::call::{Methods, Receiver, answer, function, guarded, status};
use super::object::{Object, Owned};
use super::raised::{Exception, Raised, Result};
use super::raw::warn_unclosed;

/// An object of a class: the interpreter's header, then our value, as C lays it out.
#[repr(C)]
pub(crate) struct Instance<C> {
    header: ffi::PyObject,
    value: C,
}

// SAFETY: `TypeSpec` makes types whose objects are laid out so, and subclasses only add to them.
unsafe impl<C: Class> Receiver for Instance<C> {}

/// Where in an object its value begins.
pub(crate) const VALUE_AT: usize = size_of::<ffi::PyObject>();

impl<C: Class> Instance<C> {
    /// The whole object.
    pub(crate) const fn object(&self) -> &Object {
        // SAFETY: it is one, and alive as long as it is borrowed.
        unsafe { Object::from_ptr(NonNull::from_ref(self).cast()) }
    }

    /// Its class, or the subclass of it.
    pub(crate) fn class(&self) -> &Object {
        // SAFETY: every object has a type.
        let class = unsafe { ffi::Py_TYPE(self.object().as_ptr()) };
        let class = NonNull::new(class.cast()).unwrap_or(NonNull::dangling());
        // SAFETY: never null, and alive as long as its objects.
        unsafe { Object::from_ptr(class) }
    }

    /// Makes an object of a class, without the class being called.
    ///
    /// # Errors
    /// `MemoryError`.
    pub(crate) fn create(class: &Object, value: C) -> Result<Owned> {
        let class = class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: a class has a place for it.
        let allocate = unsafe { (*class).tp_alloc }.unwrap_or(ffi::PyType_GenericAlloc);
        // SAFETY: the class's own allocator.
        let object = unsafe { allocate(class, 0) };
        // SAFETY: a new reference or null.
        let object = unsafe { Owned::from_new(object) }?;
        let place = object.as_ptr().cast::<Self>();
        // SAFETY: the place of a field of a new object.
        let place = unsafe { &raw mut (*place).value };
        // SAFETY: as large and aligned as the type told, and not written before.
        unsafe { place.write(value) };
        Ok(object)
    }

    /// Warns of this object, which is at its end and was not closed.
    pub(crate) fn warn_unclosed(&self) {
        let Err(raised) = warn_unclosed(self.object()) else {
            return;
        };
        // When the interpreter ends, a warning may fail for other reasons.
        if raised.is_warning() {
            raised.report(self.object());
        } else {
            raised.forget();
        }
    }
}

impl<C> Deref for Instance<C> {
    type Target = C;

    #[inline]
    fn deref(&self) -> &C {
        &self.value
    }
}

/// A value that objects of a class hold.
pub(crate) trait Class: Sized + 'static {
    /// True where [`Class::init`] does something.
    const HAS_INIT: bool = false;
    /// True where [`Class::finalize`] does something.
    const HAS_FINALIZE: bool = false;
    /// True where [`Class::repr`] does something.
    const HAS_REPR: bool = false;

    /// Makes the value of a new object (`__new__`).
    ///
    /// # Errors
    /// What is raised.
    fn make(class: &Object, arguments: &Arguments<'_>) -> Result<Self>;

    /// Makes the object ready (`__init__`).
    ///
    /// # Errors
    /// What is raised.
    fn init(_this: &Instance<Self>, _arguments: &Arguments<'_>) -> Result<()> {
        Ok(())
    }

    /// What the object says of itself (`__repr__`).
    ///
    /// # Errors
    /// What is raised.
    fn repr(this: &Instance<Self>) -> Result<Owned> {
        Owned::text(&this.object().type_name())
    }

    /// The end of the object (`__del__`): nothing that it raises is told.
    fn finalize(_this: &Instance<Self>) {}
}

/// What may be done with a class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traits {
    /// Other classes may be derived from it.
    pub(crate) is_base: bool,
    /// It may be called.
    pub(crate) is_callable: bool,
}

/// An attribute that is an integer of C in the value.
#[repr(transparent)]
pub(crate) struct Member(ffi::PyMemberDef);

impl Member {
    /// One that can be read, of type `int`, so many bytes behind the beginning of the value.
    pub(crate) const fn int(name: &'static CStr, doc: &'static CStr, at: usize) -> Self {
        Self(ffi::PyMemberDef {
            name: name.as_ptr(),
            type_code: ffi::Py_T_INT,
            offset: (VALUE_AT + at).cast_signed(),
            flags: ffi::Py_READONLY,
            doc: doc.as_ptr(),
        })
    }

    const END: Self = Self(ffi::PyMemberDef {
        name: ptr::null(),
        type_code: 0,
        offset: 0,
        flags: 0,
        doc: ptr::null(),
    });
}

/// The list of them, with the empty entry that ends it.
#[repr(C)]
pub(crate) struct Members<const N: usize>([Member; N], Member);

// SAFETY: the interpreter reads it only, and it holds addresses of constants.
unsafe impl<const N: usize> Sync for Members<N> {}

impl<const N: usize> Members<N> {
    pub(crate) const fn new(members: [Member; N]) -> Self {
        Self(members, Member::END)
    }
}

/// An attribute that is read by a function.
#[repr(transparent)]
pub(crate) struct Getter(ffi::PyGetSetDef);

impl Getter {
    pub(crate) const fn new<C: Class, F>(name: &'static CStr, doc: &'static CStr, _get: F) -> Self
    where
        F: Fn(&Instance<C>) -> Result<Owned> + Copy,
    {
        Self(ffi::PyGetSetDef {
            name: name.as_ptr(),
            get: Some(get::<C, F>),
            set: None,
            doc: doc.as_ptr(),
            closure: ptr::null_mut(),
        })
    }

    const END: Self = Self(ffi::PyGetSetDef {
        name: ptr::null(),
        get: None,
        set: None,
        doc: ptr::null(),
        closure: ptr::null_mut(),
    });
}

/// The list of them, with the empty entry that ends it.
#[repr(C)]
pub(crate) struct Getters<const N: usize>([Getter; N], Getter);

// SAFETY: the interpreter reads it only, and it holds addresses of constants.
unsafe impl<const N: usize> Sync for Getters<N> {}

impl<const N: usize> Getters<N> {
    pub(crate) const fn new(getters: [Getter; N]) -> Self {
        Self(getters, Getter::END)
    }
}

// SAFETY: the interpreter reads the tables only.
unsafe impl Sync for TypeSpec {}

/// How a class is made.
pub(crate) struct TypeSpec {
    name: &'static CStr,
    doc: &'static CStr,
    traits: Traits,
    methods: *mut c_void,
    members: *mut c_void,
    getters: *mut c_void,
}

impl TypeSpec {
    /// A class named with its module (`_socket.socket`).
    pub(crate) const fn new<const N: usize>(
        name: &'static CStr,
        doc: &'static CStr,
        traits: Traits,
        methods: &'static Methods<N>,
    ) -> Self {
        Self {
            name,
            doc,
            traits,
            methods: methods.as_ptr().cast(),
            members: ptr::null_mut(),
            getters: ptr::null_mut(),
        }
    }

    pub(crate) const fn members<const N: usize>(self, members: &'static Members<N>) -> Self {
        Self {
            members: ptr::from_ref(members).cast_mut().cast(),
            ..self
        }
    }

    pub(crate) const fn getters<const N: usize>(self, getters: &'static Getters<N>) -> Self {
        Self {
            getters: ptr::from_ref(getters).cast_mut().cast(),
            ..self
        }
    }

    /// Makes it, a class of this module.
    ///
    /// # Errors
    /// What the interpreter raises.
    pub(crate) fn create<C: Class>(&self, module: &Object) -> Result<Owned> {
        const { assert!(offset_of!(Instance<C>, value) == VALUE_AT) };
        let mut slots = self.slots::<C>();
        let mut flags =
            ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_IMMUTABLETYPE;
        if self.traits.is_base {
            flags |= ffi::Py_TPFLAGS_BASETYPE;
        }
        if !self.traits.is_callable {
            flags |= ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
        }
        let mut spec = ffi::PyType_Spec {
            name: self.name.as_ptr(),
            basicsize: c_int::try_from(size_of::<Instance<C>>()).unwrap_or(0),
            itemsize: 0,
            flags: c_uint::try_from(flags).unwrap_or(0),
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: the name and the tables that the slots point to live for ever; the rest is
        // copied.
        let class = unsafe {
            ffi::PyType_FromModuleAndSpec(module.as_ptr(), &raw mut spec, ptr::null_mut())
        };
        // SAFETY: a new reference or null.
        unsafe { Owned::from_new(class) }
    }

    fn slots<C: Class>(&self) -> Vec<ffi::PyType_Slot> {
        let doc = self.doc.as_ptr().cast_mut().cast();
        let mut slots = vec![
            (ffi::Py_tp_dealloc, dealloc::<C> as *mut c_void),
            (ffi::Py_tp_traverse, traverse as *mut c_void),
            (ffi::Py_tp_doc, doc),
            (ffi::Py_tp_methods, self.methods),
        ];
        if self.traits.is_callable {
            slots.push((ffi::Py_tp_new, make::<C> as *mut c_void));
        }
        if C::HAS_FINALIZE {
            slots.push((ffi::Py_tp_finalize, finalize::<C> as *mut c_void));
        }
        if C::HAS_INIT {
            slots.push((ffi::Py_tp_init, init::<C> as *mut c_void));
        }
        if C::HAS_REPR {
            slots.push((ffi::Py_tp_repr, repr::<C> as *mut c_void));
        }
        let tables = [
            (ffi::Py_tp_members, self.members),
            (ffi::Py_tp_getset, self.getters),
        ];
        slots.extend(tables.into_iter().filter(|(_, table)| !table.is_null()));
        slots.push((0, ptr::null_mut()));
        slots
            .into_iter()
            .map(|(slot, pfunc)| ffi::PyType_Slot { slot, pfunc })
            .collect()
    }
}

/// # Safety
/// As the interpreter calls a slot: a live object of the class.
unsafe fn instance<'a, C: Class>(object: *mut ffi::PyObject) -> &'a Instance<C> {
    // SAFETY: the caller's promise.
    unsafe { &*object.cast::<Instance<C>>() }
}

/// The arguments of a call in a tuple and a dictionary.
struct Packed<'a> {
    placed: &'a [&'a Object],
    names: Vec<&'a Object>,
    values: Vec<&'a Object>,
}

impl Packed<'_> {
    /// # Safety
    /// A live tuple, and a live dictionary or null.
    unsafe fn new(tuple: *mut ffi::PyObject, dictionary: *mut ffi::PyObject) -> Self {
        // SAFETY: the caller's promise.
        let tuple = unsafe { Object::from_nullable(tuple) };
        let mut packed = Self {
            placed: tuple.and_then(Object::tuple).unwrap_or_default(),
            names: Vec::new(),
            values: Vec::new(),
        };
        let mut at = 0;
        let (mut name, mut value) = (ptr::null_mut(), ptr::null_mut());
        if dictionary.is_null() {
            return packed;
        }
        // SAFETY: a dictionary that nobody changes meanwhile, and the places of the answer.
        while unsafe { ffi::PyDict_Next(dictionary, &raw mut at, &raw mut name, &raw mut value) }
            != 0
        {
            // SAFETY: the dictionary holds both.
            packed.names.extend(unsafe { Object::from_nullable(name) });
            // SAFETY: as above.
            packed
                .values
                .extend(unsafe { Object::from_nullable(value) });
        }
        packed
    }

    fn arguments(&self) -> Arguments<'_> {
        Arguments::new(self.placed, &self.names, &self.values)
    }
}

unsafe extern "C" fn make<C: Class>(
    class: *mut ffi::PyTypeObject,
    tuple: *mut ffi::PyObject,
    dictionary: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    answer(|| {
        // SAFETY: as the interpreter calls it.
        let packed = unsafe { Packed::new(tuple, dictionary) };
        // SAFETY: a live class.
        let Some(class) = (unsafe { Object::from_nullable(class.cast()) }) else {
            return Err(Exception::System.raise("no class"));
        };
        Instance::create(class, C::make(class, &packed.arguments())?)
    })
}

unsafe extern "C" fn init<C: Class>(
    this: *mut ffi::PyObject,
    tuple: *mut ffi::PyObject,
    dictionary: *mut ffi::PyObject,
) -> c_int {
    // SAFETY: as the interpreter calls it.
    let this = unsafe { instance::<C>(this) };
    status(|| {
        // SAFETY: as the interpreter calls it.
        let packed = unsafe { Packed::new(tuple, dictionary) };
        C::init(this, &packed.arguments())
    })
}

unsafe extern "C" fn repr<C: Class>(this: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: as the interpreter calls it.
    let this = unsafe { instance::<C>(this) };
    answer(|| C::repr(this))
}

unsafe extern "C" fn get<C: Class, F>(
    this: *mut ffi::PyObject,
    _closure: *mut c_void,
) -> *mut ffi::PyObject
where
    F: Fn(&Instance<C>) -> Result<Owned> + Copy,
{
    // SAFETY: as the interpreter calls it.
    let this = unsafe { instance::<C>(this) };
    answer(|| function::<F>()(this))
}

unsafe extern "C" fn finalize<C: Class>(this: *mut ffi::PyObject) {
    // SAFETY: as the interpreter calls it.
    let this = unsafe { instance::<C>(this) };
    let kept = Raised::put_aside();
    let ended = guarded(|| {
        C::finalize(this);
        Ok(())
    });
    if let Err(raised) = ended {
        raised.report(this.object());
    }
    kept.put_back();
}

unsafe extern "C" fn traverse(
    this: *mut ffi::PyObject,
    visit: ffi::visitproc,
    closure: *mut c_void,
) -> c_int {
    // SAFETY: a live object.
    let class = unsafe { ffi::Py_TYPE(this) };
    // SAFETY: as the garbage collector asks for it.
    unsafe { visit(class.cast(), closure) }
}

unsafe extern "C" fn dealloc<C: Class>(this: *mut ffi::PyObject) {
    // SAFETY: an object whose last reference is gone; it may come to life again in there.
    if C::HAS_FINALIZE && unsafe { ffi::PyObject_CallFinalizerFromDealloc(this) } < 0 {
        return;
    }
    // SAFETY: still an object.
    let class = unsafe { ffi::Py_TYPE(this) };
    // SAFETY: all of these classes are watched by the garbage collector.
    unsafe { ffi::PyObject_GC_UnTrack(this.cast()) };
    let place = this.cast::<Instance<C>>();
    // SAFETY: the place of a field.
    let value = unsafe { &raw mut (*place).value };
    // SAFETY: written when the object was made, and nobody looks at it any more.
    unsafe { value.drop_in_place() };
    // SAFETY: a class has a place for it.
    let free = unsafe { (*class).tp_free }.unwrap_or(ffi::PyObject_GC_Del);
    // SAFETY: the memory is the class's own.
    unsafe { free(this.cast()) };
    // SAFETY: the reference that each object has to its class.
    unsafe { ffi::Py_DECREF(class.cast()) };
}
