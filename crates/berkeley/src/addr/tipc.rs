//! Addresses of cluster communication, TIPC.

use core::fmt;

use super::raw::{AddrBuf, u32_at};
use super::text::Fields;
use crate::error::Result;
use crate::kinds::Family;

/// Bytes of `struct sockaddr_tipc` (linux/tipc.h), which libc lacks.
const TIPC_BYTES: usize = 16;
const NAME_SEQUENCE: u8 = 1;
const NAME: u8 = 2;
const ID: u8 = 3;

open_newtype! {
    /// How far a TIPC name is known (`TIPC_*_SCOPE`). A negative one in bind withdraws the name.
    TipcScope: i8 {
        /// In the zone; since Linux 4.17 the same as the cluster.
        ZONE = 1;
        /// In the cluster.
        CLUSTER = 2;
        /// On this node only.
        NODE = 3;
    }
}

/// The address of a TIPC socket.
///
/// As text: `tipc-name:TYPE:INSTANCE:DOMAIN:SCOPE`, `tipc-names:TYPE:LOWER:UPPER:SCOPE`,
/// `tipc-id:NODE:REFERENCE:SCOPE`.
///
/// ```
/// use berkeley::{Addr, TipcAddr, TipcScope};
///
/// let addr = TipcAddr::Name { kind: 18888, instance: 17, domain: 0, scope: TipcScope::CLUSTER };
/// assert_eq!(addr.to_string(), "tipc-name:18888:17:0:2");
/// assert_eq!(addr.to_string().parse::<Addr>().unwrap(), addr.into());
/// ```
///
/// # References
/// tipc(7) of the tipcutils, linux/tipc.h, `struct sockaddr_tipc`.
#[doc(alias = "sockaddr_tipc")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TipcAddr {
    /// One socket (`TIPC_SOCKET_ADDR`, `TIPC_ADDR_ID`).
    Id {
        /// The node, 0 for this one.
        node: u32,
        /// The socket's number on the node.
        reference: u32,
        /// How far it is known.
        scope: TipcScope,
    },
    /// A service's instance (`TIPC_SERVICE_ADDR`, `TIPC_ADDR_NAME`), for connecting and sending.
    Name {
        /// The service's type.
        kind: u32,
        /// The instance.
        instance: u32,
        /// The node to look on, 0 for all.
        domain: u32,
        /// How far it is known.
        scope: TipcScope,
    },
    /// A range of a service's instances (`TIPC_SERVICE_RANGE`, `TIPC_ADDR_NAMESEQ`,
    /// `TIPC_ADDR_MCAST`), for binding and for sending to all of them.
    NameSequence {
        /// The service's type.
        kind: u32,
        /// The first instance.
        lower: u32,
        /// The last instance.
        upper: u32,
        /// How far it is known.
        scope: TipcScope,
    },
}

impl TipcAddr {
    /// `TIPC_TOP_SRV`: the type of the topology service.
    pub const TOPOLOGY_SERVICE: u32 = 1;
    /// `TIPC_CFG_SRV`: the type of the configuration service.
    pub const CONFIGURATION_SERVICE: u32 = 0;

    /// How far the address is known.
    #[must_use]
    pub const fn scope(&self) -> TipcScope {
        match self {
            Self::Id { scope, .. }
            | Self::Name { scope, .. }
            | Self::NameSequence { scope, .. } => *scope,
        }
    }

    pub(super) fn encode(&self, raw: &mut AddrBuf) {
        let (form, words) = match *self {
            Self::Id {
                node, reference, ..
            } => (ID, [reference, node, 0]),
            Self::Name {
                kind,
                instance,
                domain,
                ..
            } => (NAME, [kind, instance, domain]),
            Self::NameSequence {
                kind, lower, upper, ..
            } => (NAME_SEQUENCE, [kind, lower, upper]),
        };
        raw.begin(Family::TIPC, TIPC_BYTES);
        raw.put(2, &[form]);
        raw.put(3, &self.scope().raw().to_ne_bytes());
        raw.put(4, &words[0].to_ne_bytes());
        raw.put(8, &words[1].to_ne_bytes());
        raw.put(12, &words[2].to_ne_bytes());
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let scope = TipcScope::from_raw(i8::from_ne_bytes([*bytes.get(3)?]));
        let (first, second, third) = (u32_at(bytes, 4)?, u32_at(bytes, 8)?, u32_at(bytes, 12)?);
        Some(match *bytes.get(2)? {
            ID => Self::Id {
                node: second,
                reference: first,
                scope,
            },
            NAME => Self::Name {
                kind: first,
                instance: second,
                domain: third,
                scope,
            },
            NAME_SEQUENCE => Self::NameSequence {
                kind: first,
                lower: second,
                upper: third,
                scope,
            },
            _ => return None,
        })
    }

    pub(super) fn parse(text: &str) -> Option<Result<Self>> {
        if let Some(fields) = Fields::of(text, "tipc-id") {
            return Some(parse_id(fields));
        }
        if let Some(fields) = Fields::of(text, "tipc-name") {
            return Some(parse_words(fields, false));
        }
        Fields::of(text, "tipc-names").map(|fields| parse_words(fields, true))
    }
}

fn parse_id(mut fields: Fields<'_>) -> Result<TipcAddr> {
    let (node, reference) = (fields.number("node")?, fields.number("reference")?);
    let scope = parse_scope(fields)?;
    Ok(TipcAddr::Id {
        node,
        reference,
        scope,
    })
}

fn parse_words(mut fields: Fields<'_>, is_sequence: bool) -> Result<TipcAddr> {
    let (kind, first) = (fields.number("type")?, fields.number("instance")?);
    let second = fields.number(if is_sequence {
        "last instance"
    } else {
        "domain"
    })?;
    let scope = parse_scope(fields)?;
    Ok(if is_sequence {
        TipcAddr::NameSequence {
            kind,
            lower: first,
            upper: second,
            scope,
        }
    } else {
        TipcAddr::Name {
            kind,
            instance: first,
            domain: second,
            scope,
        }
    })
}

fn parse_scope(mut fields: Fields<'_>) -> Result<TipcScope> {
    let scope = fields.required("scope")?;
    let number = scope
        .parse()
        .map_err(|_error| fields.refused(format_args!("its scope {scope:?} is no number")))?;
    fields.end()?;
    Ok(TipcScope::from_raw(number))
}

impl fmt::Display for TipcAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id {
                node, reference, ..
            } => write!(f, "tipc-id:{node}:{reference}")?,
            Self::Name {
                kind,
                instance,
                domain,
                ..
            } => write!(f, "tipc-name:{kind}:{instance}:{domain}")?,
            Self::NameSequence {
                kind, lower, upper, ..
            } => write!(f, "tipc-names:{kind}:{lower}:{upper}")?,
        }
        write!(f, ":{}", self.scope().raw())
    }
}
