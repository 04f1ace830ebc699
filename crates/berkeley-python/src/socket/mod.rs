//! The module `_socket`.

mod address;
mod bluetooth;
mod calls;
mod constants;
mod errors;
mod functions;
mod host;
mod message;
mod names;
mod object;
mod options;
mod timeout;

use core::cell::Cell;

use crate::py::{
    self, Definition, Exception, Method, Methods, Module, Object, Owned, Result, SLOTS, Visit,
};
use object::Socket;

pub(crate) use errors::{Interpreter, OrRaise, raise};
pub(crate) use timeout::{nanos_of, round as round_away};

/// What the module keeps: one of these in each interpreter.
pub(crate) struct State {
    class: Owned,
    gaierror: Owned,
    herror: Owned,
    /// What new sockets have for a time limit, as [`timeout`] counts.
    default_timeout: Cell<i64>,
}

impl py::State for State {
    fn visit(&self, visit: &mut Visit<'_>) {
        for object in [&self.class, &self.gaierror, &self.herror] {
            visit(object);
        }
    }
}

pub(crate) static MODULE: Definition<State, SLOTS> = Definition::new(
    c"_socket",
    c"Sockets, as the module socket needs them. See berkeley for how they are made.",
    &FUNCTIONS,
    fill,
);

static FUNCTIONS: Methods<28> = Methods::new([
    Method::placed(
        c"CMSG_LEN",
        c"CMSG_LEN(length): a control message without its padding.",
        message::control_len,
    ),
    Method::placed(
        c"CMSG_SPACE",
        c"CMSG_SPACE(length): a control message with its padding.",
        message::control_space,
    ),
    Method::one(
        c"close",
        c"close(fd): closes a descriptor.",
        functions::close,
    ),
    Method::one(
        c"dup",
        c"dup(fd): a duplicate of a descriptor, not inheritable.",
        functions::dup,
    ),
    Method::named(
        c"getaddrinfo",
        c"getaddrinfo(host, port, family=0, type=0, proto=0, flags=0): a list of (family, \
            type, proto, canonname, sockaddr).",
        names::getaddrinfo,
    ),
    Method::bare(
        c"getdefaulttimeout",
        c"The time limit of new sockets in seconds, or None.",
        timeout::get_default,
    ),
    Method::placed(
        c"gethostbyaddr",
        c"gethostbyaddr(host): (name, aliases, addresses).",
        names::gethostbyaddr,
    ),
    Method::placed(
        c"gethostbyname",
        c"gethostbyname(host): an IPv4 address.",
        names::gethostbyname,
    ),
    Method::placed(
        c"gethostbyname_ex",
        c"gethostbyname_ex(host): (name, aliases, addresses).",
        names::gethostbyname_ex,
    ),
    Method::bare(c"gethostname", c"This machine's name.", names::gethostname),
    Method::placed(
        c"getnameinfo",
        c"getnameinfo(sockaddr, flags): (host, port).",
        names::getnameinfo,
    ),
    Method::placed(
        c"getprotobyname",
        c"getprotobyname(name): the protocol's number.",
        names::getprotobyname,
    ),
    Method::placed(
        c"getservbyname",
        c"getservbyname(name[, protocol]): the service's port.",
        names::getservbyname,
    ),
    Method::placed(
        c"getservbyport",
        c"getservbyport(port[, protocol]): the service's name.",
        names::getservbyport,
    ),
    Method::one(
        c"htonl",
        c"htonl(x): 32 bits in network order.",
        functions::long,
    ),
    Method::one(
        c"htons",
        c"htons(x): 16 bits in network order.",
        functions::short,
    ),
    Method::one(
        c"if_indextoname",
        c"if_indextoname(index): an interface's name.",
        functions::if_indextoname,
    ),
    Method::bare(
        c"if_nameindex",
        c"A list of (index, name), one for each interface.",
        functions::if_nameindex,
    ),
    Method::one(
        c"if_nametoindex",
        c"if_nametoindex(name): an interface's index.",
        functions::if_nametoindex,
    ),
    Method::one(
        c"inet_aton",
        c"inet_aton(text): the four bytes of an IPv4 address.",
        functions::inet_aton,
    ),
    Method::one(
        c"inet_ntoa",
        c"inet_ntoa(bytes): an IPv4 address as text.",
        functions::inet_ntoa,
    ),
    Method::placed(
        c"inet_ntop",
        c"inet_ntop(family, bytes): an address as text.",
        functions::inet_ntop,
    ),
    Method::placed(
        c"inet_pton",
        c"inet_pton(family, text): the bytes of an address.",
        functions::inet_pton,
    ),
    Method::one(
        c"ntohl",
        c"ntohl(x): 32 bits in the machine's order.",
        functions::long,
    ),
    Method::one(
        c"ntohs",
        c"ntohs(x): 16 bits in the machine's order.",
        functions::short,
    ),
    Method::one(
        c"setdefaulttimeout",
        c"setdefaulttimeout(seconds or None): the time limit of new sockets.",
        timeout::set_default,
    ),
    Method::placed(
        c"sethostname",
        c"sethostname(name): gives this machine a name.",
        names::sethostname,
    ),
    Method::placed(
        c"socketpair",
        c"socketpair([family[, type[, proto]]]): two connected sockets.",
        functions::socketpair,
    ),
]);

fn fill(module: &Module) -> Result<State> {
    let class = object::SPEC.create::<Socket>(module.object())?;
    module.add(c"socket", &class)?;
    module.add(c"SocketType", &class)?;
    module.add(c"error", Exception::Os.class())?;
    module.add(c"timeout", Exception::TimeOut.class())?;
    let herror = Owned::exception(c"socket.herror", Exception::Os)?;
    module.add(c"herror", &herror)?;
    let gaierror = Owned::exception(c"socket.gaierror", Exception::Os)?;
    module.add(c"gaierror", &gaierror)?;
    module.add(c"has_ipv6", &Owned::boolean(true))?;
    module.add(c"CAPI", &*py::socket_api(&class)?)?;
    constants::add(module)?;
    bluetooth::add(module)?;
    Ok(State {
        class,
        gaierror,
        herror,
        default_timeout: Cell::new(timeout::NONE),
    })
}

/// The first arguments of a call that has between `min` and `N` of them, none with a name.
fn arguments<'a, const N: usize>(
    called: &str,
    given: &[&'a Object],
    min: usize,
) -> Result<[Option<&'a Object>; N]> {
    let count = given.len();
    if count < min || count > N {
        let expected = if min == N {
            format!("exactly {N}")
        } else if count < min {
            format!("at least {min}")
        } else {
            format!("at most {N}")
        };
        let word = if expected.ends_with(" 1") {
            "argument"
        } else {
            "arguments"
        };
        return Err(Exception::Type.raise(&format!(
            "{called}() takes {expected} {word} ({count} given)"
        )));
    }
    let mut bound = [None; N];
    for (place, value) in bound.iter_mut().zip(given) {
        *place = Some(*value);
    }
    Ok(bound)
}
