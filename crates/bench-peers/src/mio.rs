//! Echo on mio, as its documentation says it: edge-triggered, so each ready socket is read until it
//! would wait. One buffer for all, 128 KiB as the bare loop's.

use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net;

use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const BUFFER_BYTES: usize = 128 * 1024;
const EVENTS: usize = 1024;
const LISTENER: Token = Token(usize::MAX);

struct Guest {
    stream: TcpStream,
    /// What the kernel did not take. While there is any, nothing is read.
    rest: Vec<u8>,
}

#[derive(Default)]
struct Guests {
    places: Vec<Option<Guest>>,
    free: Vec<usize>,
}

pub(crate) fn serve(listener: net::TcpListener) -> Result<Infallible> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::from_std(listener);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(EVENTS);
    let mut guests = Guests::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match poll.poll(&mut events, None) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).context("poll"),
        }
        for event in &events {
            match event.token() {
                LISTENER => accept(&poll, &listener, &mut guests)?,
                Token(place) => guests.answer(place, &mut buffer),
            }
        }
    }
}

fn accept(poll: &Poll, listener: &TcpListener, guests: &mut Guests) -> Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error).context("accept"),
        };
        stream.set_nodelay(true)?;
        let place = guests.free.pop().unwrap_or(guests.places.len());
        let both = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(place), both)?;
        if place == guests.places.len() {
            guests.places.push(None);
        }
        if let Some(free) = guests.places.get_mut(place) {
            let rest = Vec::new();
            *free = Some(Guest { stream, rest });
        }
    }
}

impl Guests {
    fn answer(&mut self, place: usize, buffer: &mut [u8]) {
        let Some(Some(guest)) = self.places.get_mut(place) else {
            return;
        };
        // A connection that fails is over: the others go on.
        if !guest.echo(buffer).unwrap_or(false)
            && let Some(taken) = self.places.get_mut(place)
        {
            *taken = None;
            self.free.push(place);
        }
    }
}

impl Guest {
    /// Writes and reads until one of the two would wait; false when the peer has ended.
    fn echo(&mut self, buffer: &mut [u8]) -> std::io::Result<bool> {
        loop {
            while !self.rest.is_empty() {
                match self.stream.write(&self.rest) {
                    Ok(sent) => drop(self.rest.drain(..sent)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            let came = match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(len) => buffer.get(..len).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let sent = match self.stream.write(came) {
                Ok(sent) => sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            self.rest
                .extend_from_slice(came.get(sent..).unwrap_or_default());
        }
    }
}
