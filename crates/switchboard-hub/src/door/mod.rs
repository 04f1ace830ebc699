//! The doors: ways into the rooms. A door translates and decides nothing.
//!
//! The sessions here are plain data, one per connection: bytes and the time in, events out.

pub mod line;
pub mod parcel;
pub mod time;
