//! Options of TIPC: `SOL_TIPC`, `linux/tipc.h`.

use core::time::Duration;

use super::codec::{Code, Command, Count, Flag, Millis, Plain};

options! {
    /// `TIPC_IMPORTANCE`: what is dropped last when queues are full.
    rw Importance: ImportanceLevel as Code<ImportanceLevel>
        = SOL_TIPC TIPC_IMPORTANCE, "TIPC_IMPORTANCE";
    /// `TIPC_SRC_DROPPABLE`: what is sent may be dropped when the link is full.
    rw SourceDroppable: bool as Flag = SOL_TIPC TIPC_SRC_DROPPABLE, "TIPC_SRC_DROPPABLE";
    /// `TIPC_DEST_DROPPABLE`: what cannot be delivered is dropped instead of coming back.
    rw DestinationDroppable: bool as Flag = SOL_TIPC TIPC_DEST_DROPPABLE, "TIPC_DEST_DROPPABLE";
    /// `TIPC_CONN_TIMEOUT`: how long a connect may take, milliseconds, rounded up.
    rw ConnectTimeout: Duration as Millis = SOL_TIPC TIPC_CONN_TIMEOUT, "TIPC_CONN_TIMEOUT";
    /// `TIPC_NODE_RECVQ_DEPTH`: messages in all queues of this node.
    r NodeQueueDepth: u32 as Count = SOL_TIPC TIPC_NODE_RECVQ_DEPTH, "TIPC_NODE_RECVQ_DEPTH";
    /// `TIPC_SOCK_RECVQ_DEPTH`: messages in this socket's queue.
    r SocketQueueDepth: u32 as Count = SOL_TIPC TIPC_SOCK_RECVQ_DEPTH, "TIPC_SOCK_RECVQ_DEPTH";
    /// `TIPC_MCAST_BROADCAST`: messages to many are broadcast.
    w MulticastBroadcast: () as Command = SOL_TIPC TIPC_MCAST_BROADCAST, "TIPC_MCAST_BROADCAST";
    /// `TIPC_MCAST_REPLICAST`: they are sent to each.
    w MulticastReplicast: () as Command = SOL_TIPC TIPC_MCAST_REPLICAST, "TIPC_MCAST_REPLICAST";
    /// `TIPC_GROUP_JOIN`: joins a group.
    w GroupJoin: GroupMember as Plain<GroupMember> = SOL_TIPC TIPC_GROUP_JOIN, "TIPC_GROUP_JOIN";
    /// `TIPC_GROUP_LEAVE`: leaves it.
    w GroupLeave: () as Command = SOL_TIPC TIPC_GROUP_LEAVE, "TIPC_GROUP_LEAVE";
    /// `TIPC_SOCK_RECVQ_USED`: bytes in this socket's queue.
    r SocketQueueUsed: u32 as Count = SOL_TIPC TIPC_SOCK_RECVQ_USED, "TIPC_SOCK_RECVQ_USED";
    /// `TIPC_NODELAY`: small messages are sent at once.
    rw NoDelay: bool as Flag = SOL_TIPC TIPC_NODELAY, "TIPC_NODELAY";
}

codes! {
    /// How important messages are (`TIPC_*_IMPORTANCE`).
    ImportanceLevel {
        /// Dropped first.
        LOW = 0;
        /// In between.
        MEDIUM = 1;
        /// In between.
        HIGH = 2;
        /// Dropped last.
        CRITICAL = 3;
    }
}

record! {
    /// A member of a group (`struct tipc_group_req`).
    GroupMember 16 {
        /// The group.
        group: u32,
        /// The member.
        instance: u32,
        /// 2 the cluster, 3 the node.
        scope: u32,
        /// [`Self::LOOPBACK`] and [`Self::MEMBER_EVENTS`], or 0.
        flags: u32,
    }
}

impl GroupMember {
    /// Own messages come too (`TIPC_GROUP_LOOPBACK`).
    pub const LOOPBACK: u32 = 1;
    /// The coming and going of members is told (`TIPC_GROUP_MEMBER_EVTS`).
    pub const MEMBER_EVENTS: u32 = 2;
}
