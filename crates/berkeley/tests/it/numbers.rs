//! The numbers behind the names, against the running Python.

use std::collections::BTreeMap;
use std::process::Command;

use berkeley::{CanAddr, VsockAddr};
use berkeley::{EtherType, Family, Kind, Level, MsgFlags, PacketType, Protocol, Shutdown};

/// Every whole number of Python's `socket` module, by name; `None` without a Python, or with one
/// that is newer than this library and may have names that nobody has looked at yet.
fn python() -> Option<BTreeMap<String, i64>> {
    let script = "import socket, sys\n\
        if sys.version_info >= (3, 14): sys.exit(3)\n\
        for n in dir(socket):\n    v = getattr(socket, n)\n    \
        if isinstance(v, int) and n.isupper() or n == 'AF_DECnet': print(n, int(v))";
    let ran = Command::new("python3").args(["-c", script]).output().ok()?;
    let text = String::from_utf8(ran.stdout).ok()?;
    let pairs = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(' ')?;
        Some((name.to_owned(), value.parse().ok()?))
    });
    ran.status.success().then(|| pairs.collect())
}

/// Our names as the C names that they could be, with their numbers.
fn ours() -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    let mut put = |name: String, value: i64| {
        all.insert(name, value);
    };
    for (name, value) in Family::NAMES {
        let name = if *name == "DECNET" { "DECnet" } else { name };
        put(format!("AF_{name}"), value.raw().into());
        put(format!("PF_{name}"), value.raw().into());
    }
    put("AF_ROUTE".into(), Family::NETLINK.raw().into());
    for (name, value) in Kind::NAMES {
        put(format!("SOCK_{name}"), value.raw().into());
    }
    for (name, value) in Protocol::NAMES {
        // Those of other families carry their own word: CAN_RAW, NETLINK_ROUTE, BTPROTO_L2CAP.
        let bluetooth = name.strip_prefix("BT_");
        put(format!("IPPROTO_{name}"), value.raw().into());
        put((*name).into(), value.raw().into());
        if let Some(name) = bluetooth {
            put(format!("BTPROTO_{name}"), value.raw().into());
        }
    }
    for (name, value) in Level::NAMES {
        let name = name.strip_prefix("BT_").unwrap_or(name);
        put(format!("SOL_{name}"), value.raw().into());
    }
    for (name, value) in MsgFlags::NAMES {
        put(format!("MSG_{name}"), value.raw().into());
    }
    for (name, value) in PacketType::NAMES {
        put(format!("PACKET_{name}"), value.raw().into());
    }
    for (name, value) in EtherType::NAMES {
        put(format!("ETHERTYPE_{name}"), value.raw().into());
        put(format!("ETH_P_{name}"), value.raw().into());
    }
    put("SHUT_RD".into(), Shutdown::READ.raw().into());
    put("SHUT_WR".into(), Shutdown::WRITE.raw().into());
    put("SHUT_RDWR".into(), Shutdown::BOTH.raw().into());
    for (name, value) in [
        ("CAN_EFF_FLAG", CanAddr::EFF_FLAG),
        ("CAN_EFF_MASK", CanAddr::EFF_MASK),
        ("CAN_ERR_FLAG", CanAddr::ERR_FLAG),
        ("CAN_ERR_MASK", CanAddr::ERR_MASK),
        ("CAN_RTR_FLAG", CanAddr::RTR_FLAG),
        ("CAN_SFF_MASK", CanAddr::SFF_MASK),
        ("J1939_NO_PGN", CanAddr::J1939_NO_PGN),
        ("J1939_PGN_MAX", CanAddr::J1939_PGN_MAX),
        ("J1939_PGN_PDU1_MAX", CanAddr::J1939_PGN_PDU1_MAX),
        ("J1939_PGN_REQUEST", CanAddr::J1939_PGN_REQUEST),
        (
            "J1939_PGN_ADDRESS_CLAIMED",
            CanAddr::J1939_PGN_ADDRESS_CLAIMED,
        ),
        (
            "J1939_PGN_ADDRESS_COMMANDED",
            CanAddr::J1939_PGN_ADDRESS_COMMANDED,
        ),
        ("J1939_NO_ADDR", CanAddr::J1939_NO_ADDR.into()),
        ("J1939_IDLE_ADDR", CanAddr::J1939_IDLE_ADDR.into()),
        (
            "J1939_MAX_UNICAST_ADDR",
            CanAddr::J1939_MAX_UNICAST_ADDR.into(),
        ),
        ("VMADDR_CID_ANY", VsockAddr::CID_ANY),
        ("VMADDR_CID_HOST", VsockAddr::CID_HOST),
        ("VMADDR_PORT_ANY", VsockAddr::PORT_ANY),
    ] {
        put(name.into(), value.into());
    }
    all
}

#[test]
fn every_family_type_protocol_level_and_flag_of_python_is_here_with_its_number() {
    let Some(python) = python() else {
        eprintln!("skipped: needs python3, up to 3.13");
        return;
    };
    let ours = ours();
    let words = [
        "AF_",
        "PF_",
        "SOCK_",
        "IPPROTO_",
        "SOL_",
        "MSG_",
        "PACKET_",
        "NETLINK_",
        "BTPROTO_",
        "ETHERTYPE_",
        "ETH_P_",
        "SHUT_",
        "VMADDR_",
    ];
    let mut compared = 0;
    for (name, value) in &python {
        let expected = words.iter().any(|word| name.starts_with(word));
        match ours.get(name) {
            Some(number) => assert_eq!(number, value, "{name}"),
            None => assert!(!expected, "{name} ({value}) is not here"),
        }
        compared += usize::from(ours.contains_key(name));
    }
    assert!(compared > 120, "only {compared} names were compared");
}

#[test]
fn a_name_can_be_looked_up_and_a_number_told_its_name() {
    assert_eq!(Family::VSOCK.name(), Some("VSOCK"));
    assert_eq!(Family::from_raw(999).name(), None);
    let found = Protocol::NAMES.iter().find(|(name, _)| *name == "MPTCP");
    assert_eq!(found.map(|(_, value)| value.raw()), Some(262));
    assert_eq!(
        Protocol::ethernet(EtherType::IP).raw(),
        i32::from(0x800_u16.to_be())
    );
}
