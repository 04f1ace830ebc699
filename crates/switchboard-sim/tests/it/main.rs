//! Many worlds, and some that are defective on purpose.

mod worlds;
