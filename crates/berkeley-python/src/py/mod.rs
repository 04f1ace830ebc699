//! The interpreter's C interface, safe: the one place of this crate with `unsafe`.
//!
//! An [`Object`] is borrowed and an [`Owned`] is counted. Neither can go to another thread, and
//! both come only from the interpreter, which holds its lock whenever it calls in here. So to have
//! one is proof enough that the lock is held: [`unlocked`] lets go of it and takes only what is
//! [`Send`].
//!
//! This is done on `pyo3-ffi` without PyO3 itself. The type of sockets has a layout that other
//! modules read (`_ssl`), each interpreter of a process has modules and types of its own, which
//! PyO3's modules refuse, and nothing stands between a call and the kernel.

mod args;
mod buffer;
mod call;
mod class;
pub(crate) mod descriptor;
mod entry;
mod lock;
mod module;
mod number;
mod object;
mod raised;
mod raw;

pub(crate) use args::Arguments;
pub(crate) use buffer::{NewBytes, Readable, Writable};
pub(crate) use call::{Method, Methods};
pub(crate) use class::{
    Class, Getter, Getters, Instance, Member, Members, Traits, TypeSpec, VALUE_AT,
};
pub(crate) use lock::{check_signals, unlocked};
pub(crate) use module::{Definition, ErrorHandler, Module, SLOTS, State, raise_errno, socket_api};
pub(crate) use number::Integer;
pub(crate) use object::{Object, Owned, Visit};
pub(crate) use raised::{Exception, Raised, Result};
pub(crate) use raw::{audit, audit_numbers, audit_pair};
