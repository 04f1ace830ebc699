//! The hub: rooms, file store, shards and doors.
