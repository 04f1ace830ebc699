//! What a program calls to talk to a hub or a plain peer.
