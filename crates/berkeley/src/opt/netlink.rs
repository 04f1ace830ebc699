//! Options of netlink: `SOL_NETLINK`, netlink(7).

use super::codec::{Count, Flag, List};

options! {
    /// `NETLINK_ADD_MEMBERSHIP`: joins a group of messages by its number, netlink(7).
    w AddMembership: u32 as Count = SOL_NETLINK NETLINK_ADD_MEMBERSHIP, "NETLINK_ADD_MEMBERSHIP";
    /// `NETLINK_DROP_MEMBERSHIP`: leaves it, netlink(7).
    w DropMembership: u32 as Count = SOL_NETLINK NETLINK_DROP_MEMBERSHIP, "NETLINK_DROP_MEMBERSHIP";
    /// `NETLINK_PKTINFO`: messages carry the group that they were sent to, netlink(7).
    rw PacketInfo: bool as Flag = SOL_NETLINK NETLINK_PKTINFO, "NETLINK_PKTINFO";
    /// `NETLINK_BROADCAST_ERROR`: a message to a group that did not arrive everywhere is an
    /// error, netlink(7).
    rw BroadcastError: bool as Flag
        = SOL_NETLINK NETLINK_BROADCAST_ERROR, "NETLINK_BROADCAST_ERROR";
    /// `NETLINK_NO_ENOBUFS`: lost messages are not told with `ENOBUFS`, netlink(7).
    rw NoEnobufs: bool as Flag = SOL_NETLINK NETLINK_NO_ENOBUFS, "NETLINK_NO_ENOBUFS";
    /// `NETLINK_LISTEN_ALL_NSID`: messages of other network namespaces too, netlink(7).
    rw ListenAllNamespaces: bool as Flag
        = SOL_NETLINK NETLINK_LISTEN_ALL_NSID, "NETLINK_LISTEN_ALL_NSID";
    /// `NETLINK_LIST_MEMBERSHIPS`: the groups that were joined, a bit for each, netlink(7).
    r ListMemberships: Vec<u32> as List<u32, 1024, 32>
        = SOL_NETLINK NETLINK_LIST_MEMBERSHIPS, "NETLINK_LIST_MEMBERSHIPS";
    /// `NETLINK_CAP_ACK`: acknowledgements do not repeat the request, netlink(7).
    rw CapAck: bool as Flag = SOL_NETLINK NETLINK_CAP_ACK, "NETLINK_CAP_ACK";
    /// `NETLINK_EXT_ACK`: acknowledgements say more about an error.
    rw ExtendedAck: bool as Flag = SOL_NETLINK NETLINK_EXT_ACK, "NETLINK_EXT_ACK";
    /// `NETLINK_GET_STRICT_CHK`: requests that the kernel does not fully understand fail.
    rw StrictCheck: bool as Flag = SOL_NETLINK NETLINK_GET_STRICT_CHK, "NETLINK_GET_STRICT_CHK";
}
