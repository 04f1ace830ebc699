//! Options of RDS: `SOL_RDS`, rds(7), `linux/rds.h`. `RDS_GET_MR` hands memory to the kernel, so
//! it is for [`crate::Socket::set_raw_pointers`].

use super::codec::{Bits, Flag};

options! {
    /// `RDS_RECVERR`: what became of operations on memory is told, rds(7).
    rw RecvErr: bool as Flag = SOL_RDS RDS_RECVERR, "RDS_RECVERR";
    /// `RDS_CONG_MONITOR`: messages tell when a port has room again, rds(7).
    rw CongestionMonitor: bool as Flag = SOL_RDS RDS_CONG_MONITOR, "RDS_CONG_MONITOR";
    /// `SO_RDS_TRANSPORT`: the way messages travel: 0 InfiniBand, 2 TCP; before bind.
    rw Transport: u32 as Bits = SOL_RDS SO_RDS_TRANSPORT, "SO_RDS_TRANSPORT";
}
