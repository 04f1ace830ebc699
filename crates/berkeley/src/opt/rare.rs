//! Options of families that few programs use: RxRPC, KCM and SMC.
//!
//! AX.25, NET/ROM, ROSE, X.25, LLC, ATM, Phonet, CAIF, IUCV and NFC have none here by type:
//! [`crate::Socket::set_raw`] reaches them.

use super::codec::{Bits, Bytes, Count, Encode, Flag, Plain};

options! {
    /// `RXRPC_SECURITY_KEY`: the name of the key that a client's calls are protected with,
    /// without a zero behind it; Documentation/networking/rxrpc.rst.
    w RxrpcKey: Vec<u8> as Bytes<4096> = SOL_RXRPC RXRPC_SECURITY_KEY, "RXRPC_SECURITY_KEY";
    /// `RXRPC_SECURITY_KEYRING`: the name of the keyring with a server's keys.
    w RxrpcKeyring: Vec<u8> as Bytes<4096>
        = SOL_RXRPC RXRPC_SECURITY_KEYRING, "RXRPC_SECURITY_KEYRING";
    /// `RXRPC_EXCLUSIVE_CONNECTION`: each call of a client has a connection of its own.
    w RxrpcExclusive: () as Nothing
        = SOL_RXRPC RXRPC_EXCLUSIVE_CONNECTION, "RXRPC_EXCLUSIVE_CONNECTION";
    /// `RXRPC_MIN_SECURITY_LEVEL`: 0 plain, 1 authenticated, 2 encrypted at least.
    w RxrpcSecurityLevel: u32 as Bits
        = SOL_RXRPC RXRPC_MIN_SECURITY_LEVEL, "RXRPC_MIN_SECURITY_LEVEL";
    /// `RXRPC_UPGRADEABLE_SERVICE`: calls of one service may become calls of another.
    w RxrpcUpgradeable: ServiceUpgrade as Plain<ServiceUpgrade>
        = SOL_RXRPC RXRPC_UPGRADEABLE_SERVICE, "RXRPC_UPGRADEABLE_SERVICE";
    /// `RXRPC_SUPPORTED_CMSG`: the highest kind of control message that the kernel knows.
    r RxrpcSupported: u32 as Count = SOL_RXRPC RXRPC_SUPPORTED_CMSG, "RXRPC_SUPPORTED_CMSG";
    /// `KCM_RECV_DISABLE`: this socket of several gets no messages;
    /// Documentation/networking/kcm.rst.
    rw KcmRecvDisable: bool as Flag = SOL_KCM KCM_RECV_DISABLE, "KCM_RECV_DISABLE";
    /// `SMC_LIMIT_HS`: a listener under load lets connections fall back to TCP, smc(7)
    /// (Linux 5.18).
    rw SmcLimitHandshakes: bool as Flag = SOL_SMC SMC_LIMIT_HS, "SMC_LIMIT_HS";
}

record! {
    /// Which service's calls may become which one's.
    ServiceUpgrade 4 {
        /// The service that clients ask for.
        from: u16,
        /// The one that they get.
        to: u16,
    }
}

/// An option whose value must be empty.
struct Nothing;

impl Encode for Nothing {
    type Value = ();

    fn encode((): ()) -> impl AsRef<[u8]> {
        []
    }
}
