//! The machine's own headers: every option of a socket that they name has a descriptor here, a
//! method, or a reason why it has none.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use berkeley::{Family, Kind, Level, MsgFlags, Protocol, opt};

const FOLDER: &str = "/usr/include/linux";

/// The newest kernel whose headers were looked through: 6.18.
const KNOWN: u32 = 6 << 16 | 18 << 8;

/// Where options are named, and how their names begin.
const HEADERS: [(&str, &[&str]); 16] = [
    ("../asm-generic/socket.h", &["SO_"]),
    ("in.h", &["IP_", "MCAST_"]),
    ("in6.h", &["IPV6_"]),
    ("tcp.h", &["TCP_"]),
    ("udp.h", &["UDP_"]),
    ("if_packet.h", &["PACKET_"]),
    ("netlink.h", &["NETLINK_"]),
    ("vm_sockets.h", &["SO_"]),
    ("if_alg.h", &["ALG_SET_"]),
    ("rds.h", &["RDS_", "SO_"]),
    ("tipc.h", &["TIPC_"]),
    ("can/raw.h", &["CAN_RAW_"]),
    ("can/isotp.h", &["CAN_ISOTP_"]),
    ("can/j1939.h", &["SO_"]),
    ("rxrpc.h", &["RXRPC_"]),
    ("if_xdp.h", &["XDP_"]),
];

/// Beginnings of names that are no options: values of options, messages, attributes, sizes.
const VALUES: [&str; 41] = [
    "CAN_ISOTP_CF_",
    "CAN_ISOTP_CHK_",
    "CAN_ISOTP_DEFAULT_",
    "CAN_ISOTP_FORCE_",
    "IP_DEFAULT_",
    "IP_PMTUDISC_",
    "IPV6_FLOWINFO_",
    "IPV6_FL_",
    "IPV6_PMTUDISC_",
    "IPV6_PREFER_SRC_",
    "IPV6_PRIORITY_",
    "IPV6_TLV_",
    "NETLINK_CONNECTED",
    "PACKET_FANOUT_",
    "PACKET_MR_",
    "RDS_CMSG_",
    "RDS_CONG_MONITOR_",
    "RDS_INFO_",
    "RDS_MAX_",
    "RDS_MSG_",
    "RDS_RDMA_",
    "RDS_TRANS_",
    "TCP_AO_KEYF_",
    "TCP_CA_",
    "TCP_FLAG_",
    "TCP_MD5SIG_FLAG_",
    "TCP_MSS_",
    "TCP_NLA_",
    "TCP_RECEIVE_ZEROCOPY_FLAG_",
    "TCP_REPAIR_O",
    "TIPC_ADDR_",
    "TIPC_AEAD_",
    "TIPC_CLUSTER_",
    "TIPC_ERR_",
    "TIPC_GROUP_LOOPBACK",
    "TIPC_MAX_",
    "TIPC_SUB_",
    "TIPC_ZONE_",
    "UDP_ENCAP_",
    "XDP_PGOFF_",
    "XDP_UMEM_PGOFF_",
];

/// The same by their whole names.
const VALUE_NAMES: &str = "ALG_SET_AEAD_ASSOCLEN ALG_SET_IV ALG_SET_OP CAN_ISOTP_DYN_FC_PARMS \
    CAN_ISOTP_EXTEND_ADDR CAN_ISOTP_FRAME_TXTIME_ZERO CAN_ISOTP_HALF_DUPLEX \
    CAN_ISOTP_LISTEN_MODE CAN_ISOTP_RX_EXT_ADDR CAN_ISOTP_RX_PADDING \
    CAN_ISOTP_SF_BROADCAST CAN_ISOTP_TX_PADDING CAN_ISOTP_WAIT_TX_DONE IPV6_HOPLIMIT \
    MCAST_EXCLUDE MCAST_INCLUDE NETLINK_UNCONNECTED PACKET_BROADCAST PACKET_FASTROUTE \
    PACKET_HOST PACKET_KERNEL PACKET_LOOPBACK PACKET_MULTICAST PACKET_OTHERHOST \
    PACKET_OUTGOING PACKET_USER RDS_IB_ABI_VERSION RDS_IB_GID_LEN RXRPC_ABORT RXRPC_ACK \
    RXRPC_BUSY RXRPC_CHARGE_ACCEPT RXRPC_CHALLENGED RXRPC_EXCLUSIVE_CALL \
    RXRPC_LOCAL_ERROR RXRPC_NET_ERROR RXRPC_NEW_CALL RXRPC_OOB_ID RXRPC_SECURITY_AUTH \
    RXRPC_SECURITY_ENCRYPT RXRPC_SECURITY_NONE RXRPC_SECURITY_PLAIN RXRPC_SECURITY_RXGK \
    RXRPC_SECURITY_RXK5 RXRPC_SECURITY_RXKAD RXRPC_SECURITY_YFS_RXGK \
    RXRPC_SET_CALL_TIMEOUT RXRPC_TX_LENGTH RXRPC_UPGRADE_SERVICE RXRPC_USER_CALL_ID \
    RXRPC__SUPPORTED TCP_AO_MAXKEYLEN TCP_DATA_OFFSET TCP_MD5SIG_MAXKEYLEN TCP_NO_QUEUE \
    TCP_QUEUES_NR TCP_RECV_QUEUE TCP_RESERVED_BITS TCP_SEND_QUEUE TIPC_CFG_SRV \
    TIPC_CONN_SHUTDOWN TIPC_CRITICAL_IMPORTANCE TIPC_DESTNAME TIPC_ERRINFO \
    TIPC_GROUP_MEMBER_EVTS TIPC_HIGH_IMPORTANCE TIPC_LINK_STATE TIPC_LOW_IMPORTANCE \
    TIPC_MEDIUM_IMPORTANCE TIPC_NODEID_LEN TIPC_NODE_BITS TIPC_NODE_MASK \
    TIPC_NODE_OFFSET TIPC_NODE_SCOPE TIPC_NODE_SIZE TIPC_NODE_STATE TIPC_OK \
    TIPC_PUBLISHED TIPC_REKEYING_NOW TIPC_RESERVED_TYPES TIPC_RETDATA TIPC_SERVICE_ADDR \
    TIPC_SERVICE_RANGE TIPC_SOCKET_ADDR TIPC_SUBSCR_TIMEOUT TIPC_TOP_SRV \
    TIPC_WAIT_FOREVER TIPC_WITHDRAWN XDP_COPY XDP_OPTIONS_ZEROCOPY XDP_PKT_CONTD \
    XDP_RING_NEED_WAKEUP XDP_SHARED_UMEM XDP_TXMD_FLAGS_CHECKSUM \
    XDP_TXMD_FLAGS_LAUNCH_TIME XDP_TXMD_FLAGS_TIMESTAMP XDP_TX_METADATA \
    XDP_UMEM_TX_METADATA_LEN XDP_UMEM_TX_SW_CSUM XDP_UMEM_UNALIGNED_CHUNK_FLAG \
    XDP_USE_NEED_WAKEUP XDP_USE_SG XDP_ZEROCOPY";

/// Options without a descriptor of their own, by what they are here.
const OTHERWISE: [(&str, &str); 9] = [
    (
        "methods of a socket: the value borrows, makes a descriptor, or asks by itself",
        "IP_MSFILTER MCAST_MSFILTER PACKET_FANOUT_DATA PACKET_HDRLEN SO_ATTACH_BPF \
         SO_ATTACH_FILTER SO_ATTACH_REUSEPORT_CBPF \
         SO_ATTACH_REUSEPORT_EBPF SO_GET_FILTER SO_PEERPIDFD TCP_AO_GET_KEYS",
    ),
    (
        "the value holds addresses of memory: unsafe calls",
        "RDS_GET_MR RDS_GET_MR_FOR_DEST TCP_ZEROCOPY_RECEIVE XDP_UMEM_REG",
    ),
    (
        "another name of one that is here",
        "IP_IPSEC_POLICY IP_ORIGDSTADDR IP_RECVRETOPTS IPV6_IPSEC_POLICY IPV6_ORIGDSTADDR \
         SO_DETACH_BPF SO_RCVTIMEO_OLD SO_SNDTIMEO_OLD SO_TIMESTAMPING_OLD SO_TIMESTAMPNS_OLD \
         SO_TIMESTAMP_OLD SO_VM_SOCKETS_CONNECT_TIMEOUT_OLD",
    ),
    ("protocols of netlink", "NETLINK_INET_DIAG NETLINK_UNUSED"),
    (
        "no Linux has it",
        "IPV6_AUTHHDR IPV6_NEXTHOP IPV6_USE_MIN_MTU PACKET_RECV_OUTPUT \
         SO_SECURITY_AUTHENTICATION SO_SECURITY_ENCRYPTION_NETWORK \
         SO_SECURITY_ENCRYPTION_TRANSPORT",
    ),
    (
        "gone, and does nothing",
        "NETLINK_RX_RING NETLINK_TX_RING SO_BSDCOMPAT",
    ),
    (
        "of control messages alone",
        "SO_DEVMEM_DMABUF SO_DEVMEM_LINEAR TCP_CM_INQ",
    ),
    ("a kernel's own business", "TCP_BPF_IW"),
    ("no option but the count of them", "XDP_MAX"),
];

/// The names that a header defines, by `#define` or in an `enum`.
fn names_in(header: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_enum = false;
    for line in header.lines() {
        let line = line.trim();
        is_enum |= line.starts_with("enum");
        let rest = match line.strip_prefix("#define") {
            Some(rest) => rest.trim_start(),
            None if is_enum => line,
            None => "",
        };
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        // What has arguments, or no value, is no constant.
        let is_constant =
            line.starts_with("#define") && !behind.starts_with('(') && !behind.trim().is_empty();
        if is_constant || is_enum && name.starts_with(|c: char| c.is_ascii_uppercase()) {
            names.insert(name.to_owned());
        }
        is_enum &= !line.contains('}');
    }
    names
}

fn header(name: &str) -> Option<String> {
    fs::read_to_string(Path::new(FOLDER).join(name)).ok()
}

/// True if the headers are there and not newer than what was looked through.
fn are_known() -> bool {
    let version = header("version.h").and_then(|text| {
        let line = text
            .lines()
            .find(|line| line.contains("LINUX_VERSION_CODE"))?;
        line.split_whitespace().last()?.parse::<u32>().ok()
    });
    match version {
        Some(version) if version >> 8 <= KNOWN >> 8 => true,
        Some(_) => {
            eprintln!("skipped: the kernel's headers are newer than 6.18");
            false
        }
        None => {
            eprintln!("skipped: needs the kernel's headers");
            false
        }
    }
}

#[test]
fn every_option_of_the_kernels_headers_is_here() {
    if !are_known() {
        return;
    }
    let described: BTreeSet<_> = opt::described().map(|option| option.label).collect();
    let words = |text: &'static str| text.split_whitespace();
    let mut others: BTreeSet<_> = words(VALUE_NAMES).collect();
    others.extend(OTHERWISE.iter().flat_map(|(_, names)| words(names)));
    others.extend(Protocol::NAMES.iter().map(|(name, _)| *name));
    let mut looked_at = 0;
    let mut missing = Vec::new();
    for (file, beginnings) in HEADERS {
        let Some(text) = header(file) else { continue };
        for name in names_in(&text) {
            if !beginnings.iter().any(|word| name.starts_with(word)) {
                continue;
            }
            looked_at += 1;
            let is_value = VALUES.iter().any(|word| name.starts_with(word));
            if !described.contains(&*name) && !is_value && !others.contains(&*name) {
                missing.push(format!("{file}: {name}"));
            }
        }
    }
    assert!(looked_at > 400, "only {looked_at} names were looked at");
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_family_type_level_and_flag_of_the_c_librarys_headers_is_here() {
    let mut text = String::new();
    for folder in [
        "/usr/include/x86_64-linux-gnu/bits",
        "/usr/include/aarch64-linux-gnu/bits",
    ] {
        for file in ["socket.h", "socket_type.h"] {
            text += &fs::read_to_string(Path::new(folder).join(file)).unwrap_or_default();
        }
    }
    if text.is_empty() {
        return eprintln!("skipped: needs the C library's headers");
    }
    let is_here = |name: &str| {
        let (kind, rest) = name.split_once('_').unwrap_or((name, ""));
        let lists: Vec<&str> = match kind {
            "AF" | "PF" => Family::NAMES.iter().map(|(name, _)| *name).collect(),
            "SOCK" => Kind::NAMES.iter().map(|(name, _)| *name).collect(),
            "SOL" => Level::NAMES.iter().map(|(name, _)| *name).collect(),
            "MSG" => MsgFlags::NAMES.iter().map(|(name, _)| *name).collect(),
            _ => return true,
        };
        lists.contains(&&*rest.to_uppercase())
    };
    // Older names of UNIX and NETLINK, the count of families, and two flags that Linux ignores.
    let others = ["LOCAL", "FILE", "ROUTE", "MAX", "PROXY", "TRYHARD"];
    let missing: Vec<_> = names_in(&text)
        .into_iter()
        .filter(|name| !is_here(name))
        .filter(|name| !others.iter().any(|other| name.ends_with(other)))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
