//! When a connection has been silent or slow for too long.
//!
//! Members who are between two lines have no timers of their own: one timer of the shard looks at
//! all of them when the first may have been silent for too long, which is in hours. Everybody else
//! has one.

use std::time::Instant;

use super::{ConnectionId, Net, Session, Shard};
use crate::limits::{IDLE_LOOK_MIN, STALL_TIME};

/// The tag of the timer that looks at all silent members.
pub(super) const IDLE_TIMER: u64 = u64::MAX;

/// What a deadline that has passed leads to.
enum Passed {
    /// Nothing: it moved away meanwhile.
    Nothing,
    /// It gets a little more, until then.
    Spared(Instant),
    PutOut(String),
    BreakOff(String),
}

impl<N: Net> Shard<N> {
    /// Starts the clock of a connection, or sets it to the session's present deadline if that is
    /// earlier. A deadline that moved away is looked at when the old one is due, so that traffic
    /// costs no timer work.
    pub(super) fn arm(&mut self, net: &mut N, id: ConnectionId) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let deadline = match &connection.session {
            Session::Line(session) if !session.is_inside() => {
                return self.arm_idle(net, session.deadline(&self.limits));
            }
            Session::Line(session) => session.deadline(&self.limits),
            // Nobody can be late while the hub itself is not listening: look again later.
            Session::Parcel(parcel) if parcel.over || connection.stops != 0 => {
                net.now() + self.limits.parcel_idle
            }
            Session::Parcel(parcel) => parcel.session.deadline(),
        };
        match self.timers.get(&id) {
            Some((at, _)) if *at <= deadline => return,
            Some((_, timer)) => net.cancel_timer(*timer),
            None => {}
        }
        let timer = net.set_timer(deadline, id);
        self.timers.insert(id, (deadline, timer));
    }

    /// Sees to it that silent members are looked at no later than then.
    fn arm_idle(&mut self, net: &mut N, deadline: Instant) {
        match self.idle_timer {
            Some((at, _)) if at <= deadline => return,
            Some((_, timer)) => net.cancel_timer(timer),
            None => {}
        }
        self.idle_timer = Some((deadline, net.set_timer(deadline, IDLE_TIMER)));
    }

    /// Looks at all silent members, and when that has to be next.
    pub(super) fn look_at_idle(&mut self, net: &mut N) {
        let Some((due, _)) = self.idle_timer.take() else {
            return;
        };
        let mut next = None::<Instant>;
        let mut late = Vec::new();
        for (id, connection) in self.connections.iter() {
            let Session::Line(session) = &connection.session else {
                continue;
            };
            let deadline = session.deadline(&self.limits);
            if connection.token.is_none() || session.is_inside() {
                continue;
            }
            if deadline <= net.now() {
                late.push((id, deadline));
            } else {
                next = Some(next.map_or(deadline, |next| next.min(deadline)));
            }
        }
        if let Some(next) = next {
            // Many may be due one after the other: they are looked at together.
            self.arm_idle(net, next.max(due + IDLE_LOOK_MIN));
        }
        for (id, deadline) in late {
            self.passed(net, id, deadline);
        }
    }

    /// The timer of a connection is due.
    pub(super) fn expire(&mut self, net: &mut N, id: ConnectionId) {
        if let Some((due, _)) = self.timers.remove(&id) {
            self.passed(net, id, due);
        }
    }

    /// A connection may be too late, which was due then.
    fn passed(&mut self, net: &mut N, id: ConnectionId, due: Instant) {
        match self.look_at(net.now(), id, due) {
            Passed::Nothing => self.arm(net, id),
            Passed::Spared(until) => {
                let timer = net.set_timer(until, id);
                self.timers.insert(id, (until, timer));
            }
            Passed::PutOut(reason) => self.put_out(net, id, &reason),
            Passed::BreakOff(reason) => self.break_off(net, id, &reason),
        }
    }

    fn look_at(&mut self, now: Instant, id: ConnectionId, due: Instant) -> Passed {
        let limits = &self.limits;
        let Some(connection) = self.connections.get_mut(&id) else {
            return Passed::Nothing;
        };
        if connection.token.is_none() {
            return Passed::Nothing;
        }
        // What it sent while the hub stood still may not be read yet.
        let stood_still = now.saturating_duration_since(due) > STALL_TIME;
        connection.spared = stood_still && !connection.spared;
        if connection.spared {
            if let Session::Parcel(parcel) = &mut connection.session {
                let since = due.checked_sub(limits.frame_time).unwrap_or(due);
                parcel.session.excuse(since, now);
            }
            return Passed::Spared(now + STALL_TIME);
        }
        let is_excused = connection.stops != 0;
        match &mut connection.session {
            Session::Line(session) => session
                .expire(now, limits)
                .map_or(Passed::Nothing, Passed::PutOut),
            Session::Parcel(parcel) if parcel.over || is_excused => Passed::Nothing,
            Session::Parcel(parcel) => match parcel.session.expire(now) {
                Some(error) => Passed::BreakOff(error.to_string()),
                None => Passed::Nothing,
            },
        }
    }

    /// Nobody waits for a connection any more.
    pub(super) fn disarm(&mut self, net: &mut N, id: ConnectionId) {
        if let Some((_, timer)) = self.timers.remove(&id) {
            net.cancel_timer(timer);
        }
    }
}
