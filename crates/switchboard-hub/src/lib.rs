//! The hub: rooms, file store, shards and doors.

pub mod store;
