//! For tests only: start a hub and other people's programs.
