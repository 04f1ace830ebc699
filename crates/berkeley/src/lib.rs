//! The whole Berkeley socket interface, safe.
