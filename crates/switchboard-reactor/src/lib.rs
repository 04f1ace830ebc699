//! One thread, many sockets.
