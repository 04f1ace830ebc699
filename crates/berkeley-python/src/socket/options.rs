//! Options, and how a socket waits.

use core::ffi::c_int;

use berkeley::{Family, Level};

use super::object::Socket;
use super::{arguments, message, timeout};
use crate::py::{Exception, Instance, Integer, NewBytes, Object, Owned, Readable, Result};

type This = Instance<Socket>;

/// The longest value of an option that is read as bytes.
const VALUE_BYTES_MAX: usize = 1024;

pub(super) fn getsockopt(this: &This, given: &[&Object]) -> Result<Owned> {
    let [level, name, size] = arguments("getsockopt", given, 2)?;
    let (Some(level), Some(name)) = (level, name) else {
        return Err(message::missing("getsockopt"));
    };
    let (level, name) = (Level::from_raw(c_int::of(level)?), c_int::of(name)?);
    let size = size.map_or(Ok(0), c_int::of)?;
    if size == 0 {
        return get_integer(this, level, name);
    }
    if this.family() == Family::VSOCK {
        return Err(Exception::Os.raise("getsockopt string buffer not allowed"));
    }
    let size = usize::try_from(size)
        .ok()
        .filter(|size| *size <= VALUE_BYTES_MAX)
        .ok_or_else(|| Exception::Os.raise("getsockopt buflen out of range"))?;
    let (value, ()) = NewBytes::with_room(size)?.zeroed(|room| {
        let len = this.using(|socket| socket.get_raw(level, name, room))?;
        Ok((len, ()))
    })?;
    Ok(value)
}

/// Those of VSOCK have 64 bits, all others as many as C's `int`.
fn get_integer(this: &This, level: Level, name: c_int) -> Result<Owned> {
    if this.family() == Family::VSOCK {
        let mut value = [0; size_of::<u64>()];
        this.using(|socket| socket.get_raw(level, name, &mut value))?;
        return Owned::unsigned(u64::from_ne_bytes(value));
    }
    let mut value = [0; size_of::<c_int>()];
    this.using(|socket| socket.get_raw(level, name, &mut value))?;
    Owned::integer(c_int::from_ne_bytes(value).into())
}

pub(super) fn setsockopt(this: &This, given: &[&Object]) -> Result<Owned> {
    let [level, name, value, size] = arguments("setsockopt", given, 3)?;
    let (Some(level), Some(name), Some(value)) = (level, name, value) else {
        return Err(message::missing("setsockopt"));
    };
    let (level, name) = (Level::from_raw(c_int::of(level)?), c_int::of(name)?);
    match size {
        Some(size) if value.is_none() => {
            let size = u32::of(size)?;
            this.using(|socket| socket.set_raw_null(level, name, size))?;
        }
        Some(_) => {
            return Err(Exception::Type.raise("setsockopt() takes a size only with None"));
        }
        None => set(this, level, name, value)?,
    }
    Ok(Owned::none())
}

fn set(this: &This, level: Level, name: c_int, value: &Object) -> Result<()> {
    if this.family() == Family::VSOCK {
        let value = u64::of(value)?;
        return this.using(|socket| socket.set_raw(level, name, &value.to_ne_bytes()));
    }
    if value.is_integer() {
        let value = c_int::of(value)?;
        return this.using(|socket| socket.set_raw_int(level, name, value));
    }
    match Readable::of(value) {
        Ok(value) => this.using(|socket| socket.set_raw(level, name, value.bytes())),
        Err(raised) => {
            // Something else that stands for an integer?
            raised.forget();
            match c_int::of(value) {
                Ok(value) => this.using(|socket| socket.set_raw_int(level, name, value)),
                Err(raised) => {
                    raised.forget();
                    Readable::of(value).map(drop)
                }
            }
        }
    }
}

pub(super) fn setblocking(this: &This, flag: &Object) -> Result<Owned> {
    let timeout = if flag.is_true()? { timeout::NONE } else { 0 };
    this.set_timeout(timeout)?;
    Ok(Owned::none())
}

pub(super) fn getblocking(this: &This) -> Result<Owned> {
    Ok(Owned::boolean(this.timeout() != 0))
}

pub(super) fn settimeout(this: &This, limit: &Object) -> Result<Owned> {
    this.set_timeout(timeout::parse(limit)?)?;
    Ok(Owned::none())
}

pub(super) fn gettimeout(this: &This) -> Result<Owned> {
    timeout::tell(this.timeout())
}
