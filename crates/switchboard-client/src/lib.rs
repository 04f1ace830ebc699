//! What a program calls to talk to a hub or a plain peer.
#![forbid(unsafe_code)]

pub mod chat;
pub mod connect;
pub mod contacts;
pub mod get;
pub mod listen;
mod programs;
pub mod send;
pub mod stop;
pub mod tail;
pub mod talk;
pub mod time;
