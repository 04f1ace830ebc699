//! What a CAN interface tells about the bus: error frames, `linux/can/error.h`.

use super::frame::{CanId, ClassicFrame};
use crate::addr::CanAddr;
use crate::names::flag_set;

flag_set! {
    /// What an error frame tells of (`CAN_ERR_*`): the bits of its identifier, and of
    /// [`crate::opt::can::RawErrorFilter`]. Joined with `|`.
    ErrorClass(u32) {
        /// The driver gave up sending.
        TX_TIMEOUT = 0x001;
        /// The arbitration was lost: [`BusError::lost_arbitration_bit`].
        LOSTARB = 0x002;
        /// The controller has a problem: [`BusError::controller`].
        CRTL = 0x004;
        /// The protocol was violated: [`BusError::violation`], [`BusError::location`].
        PROT = 0x008;
        /// The state of the transceiver: [`BusError::transceiver`].
        TRX = 0x010;
        /// Nobody acknowledged what was sent.
        ACK = 0x020;
        /// The controller has left the bus.
        BUSOFF = 0x040;
        /// An error on the bus; may come very often.
        BUSERROR = 0x080;
        /// The controller was started again.
        RESTARTED = 0x100;
        /// The frame has counters: [`BusError::counters`].
        CNT = 0x200;
    }
}

flag_set! {
    /// The state of the controller (`CAN_ERR_CRTL_*`), joined with `|`.
    Controller(u8) {
        /// The buffer for receiving overflowed.
        RX_OVERFLOW = 0x01;
        /// The buffer for sending overflowed.
        TX_OVERFLOW = 0x02;
        /// So many errors in receiving that there is a warning.
        RX_WARNING = 0x04;
        /// So many errors in sending.
        TX_WARNING = 0x08;
        /// Error passive for receiving.
        RX_PASSIVE = 0x10;
        /// Error passive for sending.
        TX_PASSIVE = 0x20;
        /// Error active again.
        ACTIVE = 0x40;
    }
}

flag_set! {
    /// How the protocol was violated (`CAN_ERR_PROT_*`), joined with `|`.
    ProtocolViolation(u8) {
        /// A single bit.
        BIT = 0x01;
        /// The form of the frame.
        FORM = 0x02;
        /// The stuffing of bits.
        STUFF = 0x04;
        /// A dominant bit could not be sent.
        BIT0 = 0x08;
        /// A recessive bit could not be sent.
        BIT1 = 0x10;
        /// The bus is overloaded.
        OVERLOAD = 0x20;
        /// An announcement of an active error.
        ACTIVE = 0x40;
        /// It happened in sending.
        TX = 0x80;
    }
}

open_newtype! {
    /// Where in a frame the protocol was violated (`CAN_ERR_PROT_LOC_*`).
    ProtocolLocation: u8 {
        /// Not told.
        UNSPEC = 0x00;
        /// The start of the frame.
        SOF = 0x03;
        /// Bits 28 to 21 of the identifier (10 to 3 of a short one).
        ID28_21 = 0x02;
        /// Bits 20 to 18 (2 to 0 of a short one).
        ID20_18 = 0x06;
        /// The substitute of the remote bit.
        SRTR = 0x04;
        /// The bit that tells a long identifier.
        IDE = 0x05;
        /// Bits 17 to 13 of the identifier.
        ID17_13 = 0x07;
        /// Bits 12 to 5.
        ID12_05 = 0x0f;
        /// Bits 4 to 0.
        ID04_00 = 0x0e;
        /// The remote bit.
        RTR = 0x0c;
        /// Reserved bit 1.
        RES1 = 0x0d;
        /// Reserved bit 0.
        RES0 = 0x09;
        /// The length code.
        DLC = 0x0b;
        /// The data.
        DATA = 0x0a;
        /// The checksum.
        CRC_SEQ = 0x08;
        /// The delimiter of the checksum.
        CRC_DEL = 0x18;
        /// The slot of the acknowledgement.
        ACK = 0x19;
        /// The delimiter of the acknowledgement.
        ACK_DEL = 0x1b;
        /// The end of the frame.
        EOF = 0x1a;
        /// The pause behind it.
        INTERM = 0x12;
    }
}

open_newtype! {
    /// The state of the transceiver (`CAN_ERR_TRX_*`): the low four bits of the wire "high", the
    /// high four of the wire "low".
    Transceiver: u8 {
        /// Not told.
        UNSPEC = 0x00;
        /// CANH has no wire.
        CANH_NO_WIRE = 0x04;
        /// CANH is short to the battery.
        CANH_SHORT_TO_BAT = 0x05;
        /// CANH is short to the supply.
        CANH_SHORT_TO_VCC = 0x06;
        /// CANH is short to ground.
        CANH_SHORT_TO_GND = 0x07;
        /// CANL has no wire.
        CANL_NO_WIRE = 0x40;
        /// CANL is short to the battery.
        CANL_SHORT_TO_BAT = 0x50;
        /// CANL is short to the supply.
        CANL_SHORT_TO_VCC = 0x60;
        /// CANL is short to ground.
        CANL_SHORT_TO_GND = 0x70;
        /// CANL is short to CANH.
        CANL_SHORT_TO_CANH = 0x80;
    }
}

/// What an error frame tells. They come where [`crate::opt::can::RawErrorFilter`] asks for them.
///
/// # References
/// The kernel's `linux/can/error.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BusError {
    /// What the others mean something for.
    pub class: ErrorClass,
    /// With [`ErrorClass::LOSTARB`]: the bit in which the arbitration was lost, 0 if not told.
    pub lost_arbitration_bit: u8,
    /// With [`ErrorClass::CRTL`].
    pub controller: Controller,
    /// With [`ErrorClass::PROT`].
    pub violation: ProtocolViolation,
    /// With [`ErrorClass::PROT`].
    pub location: ProtocolLocation,
    /// With [`ErrorClass::TRX`].
    pub transceiver: Transceiver,
    /// With [`ErrorClass::CNT`]: errors in sending and in receiving.
    pub counters: [u8; 2],
}

impl BusError {
    /// Errors from which a controller warns (`CAN_ERROR_WARNING_THRESHOLD`).
    pub const WARNING_THRESHOLD: u16 = 96;
    /// Errors from which it is error passive (`CAN_ERROR_PASSIVE_THRESHOLD`).
    pub const PASSIVE_THRESHOLD: u16 = 128;
    /// Errors from which it leaves the bus (`CAN_BUS_OFF_THRESHOLD`).
    pub const BUS_OFF_THRESHOLD: u16 = 256;

    /// Reads an error frame; `None` for another one.
    #[must_use]
    pub fn of(frame: &ClassicFrame) -> Option<Self> {
        if !frame.id().is_error() {
            return None;
        }
        // Byte 5 is reserved. A short frame has zeros, "not told", in what it leaves out.
        let mut bytes = [0; ClassicFrame::DATA_MAX];
        for (place, byte) in bytes.iter_mut().zip(frame.data()) {
            *place = *byte;
        }
        let [bit, controller, violation, location, transceiver, _, tx, rx] = bytes;
        Some(Self {
            class: ErrorClass::from_raw(frame.id().raw() & CanAddr::ERR_MASK),
            lost_arbitration_bit: bit,
            controller: Controller::from_raw(controller),
            violation: ProtocolViolation::from_raw(violation),
            location: ProtocolLocation::from_raw(location),
            transceiver: Transceiver::from_raw(transceiver),
            counters: [tx, rx],
        })
    }

    /// The error as a frame, as drivers make it.
    ///
    /// # Errors
    /// None: the data always fit.
    pub fn to_frame(&self) -> crate::error::Result<ClassicFrame> {
        let id = self.class.raw() & CanAddr::ERR_MASK | CanAddr::ERR_FLAG;
        let [tx, rx] = self.counters;
        let data = [
            self.lost_arbitration_bit,
            self.controller.raw(),
            self.violation.raw(),
            self.location.raw(),
            self.transceiver.raw(),
            0,
            tx,
            rx,
        ];
        ClassicFrame::new(CanId::from_raw(id), &data)
    }
}
