//! Every protocol of the switchboard as pure data.
