//! Python's `_socket` and `select` modules on `berkeley`: the standard library's own `socket.py`,
//! `selectors.py` and all that stands on them run on it.
//!
//! Nothing of a socket is done here. Arguments are translated on their way in, answers, errors and
//! numbers on their way out, and the interpreter's lock is let go of around each system call.
//!
//! Without the feature `module` the crate is empty, so that the workspace can be built where there
//! is no interpreter.
#![cfg(feature = "module")]

#[cfg(not(Py_3_11))]
compile_error!("Python 3.11 or newer is needed: the layout of sockets is known for these");

mod py;
mod select;
mod socket;
mod uring;
