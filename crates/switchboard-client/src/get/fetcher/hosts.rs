//! The hosts that downloads are at: where they are, who is there, and which connections rest.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use berkeley::Addr;
use switchboard_reactor::{Token, TokenMap};
use switchboard_wire::http::HttpOrigin;

#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: HashMap<HttpOrigin, Host>,
    links: TokenMap<Link>,
    resting: usize,
}

#[derive(Debug)]
struct Host {
    reach: Reach,
    /// Downloads that have a place here.
    active: usize,
    /// Connections that may carry another request, the youngest last.
    resting: Vec<Token>,
}

/// How to get to a host.
#[derive(Debug)]
pub(super) enum Reach {
    Unknown,
    /// A thread looks for an address that answers; these wait for it.
    Dialling(Vec<usize>),
    Known(Addr),
}

#[derive(Debug)]
struct Link {
    origin: HttpOrigin,
    job: Option<usize>,
}

impl Hosts {
    /// How many downloads have a place at a host.
    pub(super) fn active(&self, origin: &HttpOrigin) -> usize {
        self.hosts.get(origin).map_or(0, |host| host.active)
    }

    pub(super) fn enter(&mut self, origin: &HttpOrigin) {
        self.host(origin).active += 1;
    }

    pub(super) fn leave(&mut self, origin: &HttpOrigin) {
        let host = self.host(origin);
        host.active = host.active.saturating_sub(1);
    }

    pub(super) fn reach(&mut self, origin: &HttpOrigin) -> &mut Reach {
        &mut self.host(origin).reach
    }

    /// A host does not answer where it was: it is looked for anew.
    pub(super) fn forget(&mut self, origin: &HttpOrigin) {
        let host = self.host(origin);
        if let Reach::Known(_) = host.reach {
            host.reach = literal(origin);
        }
    }

    fn host(&mut self, origin: &HttpOrigin) -> &mut Host {
        self.hosts.entry(origin.clone()).or_insert_with(|| Host {
            reach: literal(origin),
            active: 0,
            resting: Vec::new(),
        })
    }

    /// Which download a connection works for.
    pub(super) fn job(&self, link: Token) -> Option<usize> {
        self.links.get(link)?.job
    }

    /// A connection works for a download.
    pub(super) fn engage(&mut self, link: Token, origin: &HttpOrigin, job: usize) {
        let (origin, job) = (origin.clone(), Some(job));
        self.links.insert(link, Link { origin, job });
    }

    /// A connection to a host that may carry another request.
    pub(super) fn rested(&mut self, origin: &HttpOrigin) -> Option<Token> {
        let link = self.host(origin).resting.pop()?;
        self.resting = self.resting.saturating_sub(1);
        Some(link)
    }

    /// Lets a connection rest, if there are not `max` already that do.
    pub(super) fn rest(&mut self, link: Token, max: usize) -> bool {
        if self.resting >= max {
            return false;
        }
        let Some(known) = self.links.get_mut(link) else {
            return false;
        };
        known.job = None;
        let origin = known.origin.clone();
        self.host(&origin).resting.push(link);
        self.resting += 1;
        true
    }

    /// A connection is gone.
    pub(super) fn remove(&mut self, link: Token) {
        let Some(Link { origin, job: None }) = self.links.remove(link) else {
            return;
        };
        let host = self.host(&origin);
        let before = host.resting.len();
        host.resting.retain(|resting| *resting != link);
        let gone = before - host.resting.len();
        self.resting = self.resting.saturating_sub(gone);
    }
}

/// An address that is written in numbers needs nobody to look for it.
fn literal(origin: &HttpOrigin) -> Reach {
    let host = origin.host.trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(ip) => Reach::Known(SocketAddr::new(ip, origin.port).into()),
        Err(_) => Reach::Unknown,
    }
}
