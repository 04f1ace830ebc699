//! Names and addresses: the calls of Python's `socket` that ask the resolver and its files.
//!
//! `cargo run -p berkeley --example lookups -- localhost http`
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows what it does"
)]

use std::env;
use std::process::ExitCode;

use berkeley::names::{NameFlags, gethostname, getnameinfo, getservbyname};
use berkeley::{Protocol, Query, Result, interfaces};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let mut args = env::args().skip(1);
    let host = args.next().unwrap_or("localhost".into());
    let service = args.next().unwrap_or("http".into());

    // getaddrinfo("localhost", "http", proto=IPPROTO_TCP)
    let query = Query::host(&host).service(&service).protocol(Protocol::TCP);
    for info in query.resolve()? {
        let numbers = NameFlags::NUMERICHOST | NameFlags::NUMERICSERV;
        let shown = getnameinfo(&info.addr, numbers)?;
        let (ip, port) = (
            shown.host.to_string_lossy(),
            shown.service.to_string_lossy(),
        );
        println!("{host} is {ip}, and {service} is at port {port}");
    }
    if let Some(entry) = getservbyname(&service, Some("tcp"))? {
        println!("getservbyname says {}", entry.port);
    }
    println!("this machine is {}", gethostname()?.to_string_lossy());
    for interface in interfaces::if_nameindex()? {
        println!("{}: {}", interface.index, interface.name.to_string_lossy());
    }
    Ok(())
}
