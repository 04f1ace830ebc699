//! What becomes of messages of SAE J1939 ([`crate::Protocol::CAN_J1939`]): the entries of the
//! error queue, asked for with [`crate::opt::can::J1939ErrorQueue`].
//!
//! A received message tells where it was sent to by [`crate::Cmsg::J1939Address`],
//! [`crate::Cmsg::J1939Name`] and [`crate::Cmsg::J1939Priority`].
//!
//! # References
//! The kernel's Documentation/networking/j1939.rst; `linux/can/j1939.h`.

use crate::control::{Attributes, ErrorOrigin, ExtendedError};
use crate::errno::Errno;

open_newtype! {
    /// What an entry of the error queue with [`ErrorOrigin::LOCAL`] tells (`J1939_EE_INFO_*`).
    ErrorInfo: u32 {
        /// Nothing.
        NONE = 0;
        /// Sending was given up.
        TX_ABORT = 1;
        /// A long message begins to come.
        RX_RTS = 2;
        /// A very long message goes on.
        RX_DPO = 3;
        /// Receiving was given up.
        RX_ABORT = 4;
    }
}

open_newtype! {
    /// The kind of an attribute beside such an entry (`J1939_NLA_*`).
    Attribute: u16 {
        /// Nothing, for alignment.
        PAD = 0;
        /// Bytes that the peer has.
        BYTES_ACKED = 1;
        /// Bytes of the whole message.
        TOTAL_SIZE = 2;
        /// The parameter group's number.
        PGN = 3;
        /// The sender's name.
        SRC_NAME = 4;
        /// The receiver's name.
        DEST_NAME = 5;
        /// The sender's address.
        SRC_ADDR = 6;
        /// The receiver's address.
        DEST_ADDR = 7;
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The peer has all of it (`SCM_TSTAMP_ACK`).
    Acknowledged,
    /// It was given up, for this reason.
    Aborted(Errno),
    /// Receiving a message was given up, for this reason.
    ReceiveAborted(Errno),
    /// A message begins to come, or goes on: [`Stats`] tells from whom and how much.
    Receiving,
    /// It has been put on its way (`SCM_TSTAMP_SCHED`).
    Scheduled,
}

const TSTAMP_SCHED: u32 = 1;
const TSTAMP_ACK: u32 = 2;

impl Outcome {
    /// Reads an entry of a J1939 socket's error queue; `None` for one that tells something else.
    /// [`ExtendedError::data`] has the message's number, where the socket numbers them
    /// (`SOF_TIMESTAMPING_OPT_ID`).
    #[must_use]
    pub fn of(error: &ExtendedError) -> Option<Self> {
        match (error.origin, error.info) {
            (ErrorOrigin::TIMESTAMPING, TSTAMP_SCHED) => Some(Self::Scheduled),
            (ErrorOrigin::TIMESTAMPING, TSTAMP_ACK) => Some(Self::Acknowledged),
            (ErrorOrigin::LOCAL, info) => match ErrorInfo::from_raw(info) {
                ErrorInfo::TX_ABORT => Some(Self::Aborted(error.errno)),
                ErrorInfo::RX_ABORT => Some(Self::ReceiveAborted(error.errno)),
                ErrorInfo::RX_RTS | ErrorInfo::RX_DPO => Some(Self::Receiving),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What comes beside an entry of the error queue ([`crate::Cmsg::TimestampStats`]). What it does
/// not tell is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Bytes of a sent message that the peer has.
    pub bytes_acked: Option<u32>,
    /// Bytes of a message that comes.
    pub total_size: Option<u32>,
    /// Its parameter group's number.
    pub pgn: Option<u32>,
    /// Its sender's name.
    pub source_name: Option<u64>,
    /// Its receiver's name.
    pub destination_name: Option<u64>,
    /// Its sender's address.
    pub source_addr: Option<u8>,
    /// Its receiver's address.
    pub destination_addr: Option<u8>,
}

impl Stats {
    /// Reads the attributes. Those that are not known, or too short, are left out.
    #[must_use]
    pub fn of(attributes: Attributes<'_>) -> Self {
        let mut stats = Self::default();
        for attribute in attributes {
            match Attribute::from_raw(attribute.kind) {
                Attribute::BYTES_ACKED => stats.bytes_acked = attribute.u32(),
                Attribute::TOTAL_SIZE => stats.total_size = attribute.u32(),
                Attribute::PGN => stats.pgn = attribute.u32(),
                Attribute::SRC_NAME => stats.source_name = attribute.u64(),
                Attribute::DEST_NAME => stats.destination_name = attribute.u64(),
                Attribute::SRC_ADDR => stats.source_addr = attribute.u8(),
                Attribute::DEST_ADDR => stats.destination_addr = attribute.u8(),
                _ => {}
            }
        }
        stats
    }
}
