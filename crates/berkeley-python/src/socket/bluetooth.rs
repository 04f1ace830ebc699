//! Addresses of Bluetooth, whose form depends on the protocol. The names are here whether the
//! interpreter was built with BlueZ's headers or not.

use core::ffi::c_int;

use berkeley::{Addr, BluetoothAddr, DeviceAddr, Protocol};

use crate::py::{Exception, Integer, Module, Object, Owned, Result};

/// Adds the names that are no numbers.
pub(super) fn add(module: &Module) -> Result<()> {
    for (name, device) in [
        (c"BDADDR_ANY", DeviceAddr::ANY),
        (c"BDADDR_LOCAL", DeviceAddr::LOCAL),
    ] {
        module.add(name, &*Owned::text(&device.to_string())?)?;
    }
    Ok(())
}

/// Reads an address of a socket of this protocol.
///
/// # Errors
/// `OSError` for the wrong form, for what is no device, and for protocols that the language has no
/// form for.
pub(super) fn read(protocol: Protocol, object: &Object, called: &str) -> Result<Addr> {
    let wrong = || Exception::Os.raise(&format!("{called}(): wrong format"));
    let number = |object: &Object| c_int::of(object).map_err(|_raised| wrong());
    let pair = || match object.tuple() {
        Some([device, number_]) => {
            Ok((device.text().map_err(|_raised| wrong())?, number(number_)?))
        }
        _ => Err(wrong()),
    };
    Ok(match protocol {
        Protocol::BT_L2CAP => {
            let (device, psm) = pair()?;
            let psm = u16::try_from(psm).map_err(|_out_of_range| wrong())?;
            let (device, cid, device_type) = (of_text(device)?, 0, 0);
            BluetoothAddr::L2cap {
                device,
                psm,
                cid,
                device_type,
            }
        }
        Protocol::BT_RFCOMM => {
            let (device, channel) = pair()?;
            let channel = u8::try_from(channel).map_err(|_out_of_range| wrong())?;
            BluetoothAddr::Rfcomm {
                device: of_text(device)?,
                channel,
            }
        }
        Protocol::BT_HCI => {
            let Some([adapter]) = object.tuple() else {
                return Err(wrong());
            };
            let adapter = u16::try_from(number(adapter)?).map_err(|_out_of_range| wrong())?;
            BluetoothAddr::Hci {
                adapter,
                channel: BluetoothAddr::HCI_CHANNEL_RAW,
            }
        }
        Protocol::BT_SCO => {
            let device = object.bytes().ok_or_else(wrong)?;
            let device = core::str::from_utf8(device).unwrap_or_default();
            BluetoothAddr::Sco {
                device: of_text(device)?,
            }
        }
        _ => return Err(Exception::Os.raise(&format!("{called}(): unknown Bluetooth protocol"))),
    }
    .into())
}

fn of_text(text: &str) -> Result<DeviceAddr> {
    text.parse()
        .map_err(|_no_device| Exception::Os.raise("bad bluetooth address"))
}

/// An address as the language has it.
pub(super) fn tell(addr: &BluetoothAddr) -> Result<Owned> {
    let text = |device: &DeviceAddr| Owned::text(&device.to_string());
    match addr {
        BluetoothAddr::L2cap { device, psm, .. } => {
            Owned::tuple_of([text(device)?, Owned::integer((*psm).into())?])
        }
        BluetoothAddr::Rfcomm { device, channel } => {
            Owned::tuple_of([text(device)?, Owned::integer((*channel).into())?])
        }
        BluetoothAddr::Hci { adapter, .. } => Owned::integer((*adapter).into()),
        BluetoothAddr::Sco { device } => text(device),
        _ => Err(Exception::Value.raise("Unknown Bluetooth protocol")),
    }
}
