//! Who reads which room here, and in which form: what a room says is kept once for each form, in a
//! feed of the network's, and each reader has its place in it.

use core::ops::Range;
use std::sync::Arc;

use switchboard_reactor::FeedLimits;
use switchboard_wire::{Answer, RoomName, notice};
use tracing::warn;

use super::link::Published;
use super::{Connection, ConnectionId, Net, Session, Shard};
use crate::door::parcel::encode_answer;
use crate::limits::{FEED_BYTES_MAX, FEED_ENTRIES_MAX};
use crate::room::{MemberId, ShardId};

/// Why a connection is dropped that does not take what is for it.
pub(super) const STOPPED_READING: &str = "it stopped reading";

const FEED: FeedLimits = FeedLimits {
    bytes_max: FEED_BYTES_MAX,
    entries_max: FEED_ENTRIES_MAX,
};

/// The members of one room that are connected here.
#[derive(Debug)]
pub(super) struct Seat<F> {
    epoch: u64,
    lines: Option<Form<F>>,
    frames: Option<Form<F>>,
}

/// What is read in one form, and by how many.
#[derive(Debug, Clone, Copy)]
struct Form<F> {
    feed: F,
    /// The number in the room of what has the number 0 in the feed.
    first: u64,
    readers: usize,
}

impl<F: Copy> Seat<F> {
    /// The feed of lines, if that is the only form in which the room is read here, and the number
    /// in the room of what has the number 0 in it.
    pub(super) fn only_lines(&self) -> Option<(F, u64)> {
        match (&self.lines, &self.frames) {
            (Some(form), None) => Some((form.feed, form.first)),
            _ => None,
        }
    }
}

impl<N: Net> Shard<N> {
    /// A connection is a member of a room from now on, and is to read what comes behind the entry
    /// `last_seq`.
    pub(super) fn sit_down(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        room: RoomName,
        (epoch, last_seq): (u64, u64),
    ) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let place = self.seats.entry(room);
        // All who are there have their room's name in common.
        connection.room = Some(place.key().clone());
        let seat = place.or_insert(Seat {
            epoch,
            lines: None,
            frames: None,
        });
        let form = match connection.session {
            Session::Line(_) => &mut seat.lines,
            Session::Parcel(_) => &mut seat.frames,
        };
        let form = form.get_or_insert_with(|| Form {
            feed: net.add_feed(FEED),
            first: last_seq + 1,
            readers: 0,
        });
        form.readers += 1;
    }

    /// One fewer reads a room here.
    pub(super) fn stand_up(&mut self, net: &mut N, room: &RoomName, is_line: bool) {
        let Some(seat) = self.seats.get_mut(room) else {
            return;
        };
        let place = if is_line {
            &mut seat.lines
        } else {
            &mut seat.frames
        };
        if let Some(form) = place {
            form.readers = form.readers.saturating_sub(1);
            if form.readers == 0 {
                net.remove_feed(form.feed);
                *place = None;
            }
        }
        if seat.lines.is_none() && seat.frames.is_none() {
            self.seats.remove(room);
        }
    }

    /// Delivers an entry to everybody here who reads it: once for each form in which that is. The
    /// network writes it to each of them at the end of the turn. Whoever counts waits until it is
    /// on disk, if there is a log.
    pub(super) fn deliver_entry(
        &mut self,
        net: &mut N,
        entry: &Published,
        except: Option<MemberId>,
    ) {
        let Some(seat) = self.seats.get(&entry.room) else {
            return;
        };
        let (lines, frames) = (seat.lines, seat.frames);
        if let Some(form) = lines {
            let token = except.and_then(|MemberId(id)| self.connections.get(&id)?.token);
            // Without a line it has its number all the same.
            let line = if self.post.place.shards <= 1 {
                entry.line_in(&mut self.line)
            } else {
                entry.line().map_or(&[][..], |line| line)
            };
            net.append(form.feed, line, token);
            if let (Some(MemberId(id)), Some(token)) = (except, token) {
                self.note_own(net, (id, token), entry, form.first);
            }
        }
        // Whoever counts gets every number.
        if let Some(form) = frames
            && self.journal.is_none()
        {
            net.append(form.feed, entry.frames(), None);
        }
    }

    /// Delivers entries of one room that are on disk to those who waited for that.
    pub(super) fn deliver_kept(
        &mut self,
        net: &mut N,
        room: &RoomName,
        entries: &[Arc<Published>],
    ) {
        if let Some(seat) = self.seats.get(room)
            && let Some(form) = &seat.frames
        {
            for entry in entries {
                net.append(form.feed, entry.frames(), None);
            }
        }
        self.more_is_kept(Some(room));
    }

    /// Those who follow the rooms of a shard.
    pub(super) fn followers_of(&self, owner: ShardId) -> Vec<ConnectionId> {
        let follows = |connection: &Connection<N>| {
            let room = connection.room.as_ref();
            matches!(connection.session, Session::Parcel(_))
                && room.is_some_and(|room| self.post.place.owner_of(room) == owner)
        };
        let connections = self.connections.iter();
        let followers = connections.filter(|(_, connection)| follows(connection));
        followers.map(|(id, _)| id).collect()
    }

    /// From now on a member gets the entries of its room from the number `seq` on.
    pub(super) fn read_on(&mut self, net: &mut N, id: ConnectionId, room: &RoomName, seq: u64) {
        if !self.can_read_on(net, id, room, seq) {
            self.fell_behind(net, id, room, seq);
        }
    }

    /// As [`Shard::read_on`]; false if what a room says has gone on without this entry.
    pub(super) fn can_read_on(
        &self,
        net: &mut N,
        id: ConnectionId,
        room: &RoomName,
        seq: u64,
    ) -> bool {
        let token = self.connections.get(&id).and_then(|it| it.token);
        let (Some(token), Some(form)) = (token, self.form_of(id, room)) else {
            return true;
        };
        let from = seq.checked_sub(form.first);
        from.is_some_and(|from| net.subscribe(token, form.feed, from).is_ok())
    }

    /// A member gets nothing more of its room than what there is by now.
    pub(super) fn read_no_more(&mut self, net: &mut N, id: ConnectionId) {
        let was_behind = self.catch_up_no_more(id);
        if let Some(connection) = self.connections.get(&id)
            && let Some(token) = connection.token
            // Who counts knows where it was.
            && (net.leave_feed(token).is_err()
                || (was_behind && matches!(connection.session, Session::Line(_))))
        {
            let label = &connection.label;
            warn!("{label} is slow and misses the end of what was said where it was");
            let slow = "you were slow: the end of what was said there did not reach you";
            self.tell_reader(net, id, slow);
        }
    }

    /// What a room says has left a reader behind, which reads nothing of it now: what would have
    /// been next has the number `next` in its feed.
    pub fn behind(&mut self, net: &mut N, source: N::Token, next: u64) {
        if let Some(id) = self.id_of(source)
            && let Some(room) = self.room_of(id).cloned()
            && let Some(form) = self.form_of(id, &room)
        {
            self.fell_behind(net, id, &room, form.first + next);
            self.settle_down(net);
        }
    }

    /// The entry `next_seq`, which a reader should get next, is not to be had from the feed any
    /// more. With a log it is given what that has, at its own pace. Without one it goes on in the
    /// middle of what there is, so that it has time to be slow again, and is told what it missed.
    pub(super) fn fell_behind(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        room: &RoomName,
        next_seq: u64,
    ) {
        let Some(seat) = self.seats.get(room) else {
            return;
        };
        if self.journal.is_some() {
            let epoch = seat.epoch;
            return self.begin_to_catch_up(id, room, epoch, next_seq.saturating_sub(1));
        }
        self.skip_to_the_present(net, id, room, next_seq);
    }

    /// A reader goes on in the middle of what there is, and is told what it missed from the entry
    /// `next_seq` on.
    pub(super) fn skip_to_the_present(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        room: &RoomName,
        next_seq: u64,
    ) {
        let (Some(form), Some(seat)) = (self.form_of(id, room), self.seats.get(room)) else {
            return;
        };
        let (range, epoch) = (net.feed_range(form.feed), seat.epoch);
        let from = form.first + range.start + (range.end - range.start) / 2;
        let missed = next_seq.min(from)..from;
        if let Some(connection) = self.connections.get(&id) {
            let (label, count) = (&connection.label, missed.end - missed.start);
            warn!("{label} is slow and misses {count} entries of {room}");
        }
        self.tell_missed(net, id, (room, epoch), &missed);
        self.read_on(net, id, room, missed.end);
    }

    fn tell_missed(
        &mut self,
        net: &mut N,
        id: ConnectionId,
        (room, epoch): (&RoomName, u64),
        missed: &Range<u64>,
    ) {
        if self.parcel(id).is_some() {
            let gap = Answer::Gap {
                room: room.as_str().to_owned(),
                epoch,
                from: missed.start,
                to: missed.end.saturating_sub(1),
            };
            return self.send_to(net, id, encode_answer(&gap));
        }
        let count = missed.end - missed.start;
        let slow = format!("you were slow: {count} messages did not reach you");
        self.tell_reader(net, id, &slow);
    }

    /// A line for who reads lines.
    fn tell_reader(&mut self, net: &mut N, id: ConnectionId, text: &str) {
        if let Some(connection) = self.connections.get(&id)
            && matches!(connection.session, Session::Line(_))
        {
            self.send_to(net, id, notice(text));
        }
    }

    /// A connection was closed because its peer took nothing for too long.
    pub fn stalled(&mut self, net: &mut N, source: N::Token) {
        let id = self.id_of(source);
        if let Some(connection) = id.and_then(|id| self.connections.get(&id)) {
            let (label, time) = (&connection.label, self.limits.outbox_time);
            warn!("{label} is dropped: {STOPPED_READING}, and took nothing for {time:?}");
        }
        self.closed(net, source, Some(STOPPED_READING.to_owned()));
    }

    /// The number of the last entry that a connection's room has told here.
    pub(super) fn heard_of_room(&self, net: &N, id: ConnectionId) -> Option<u64> {
        let form = self.form_of(id, self.room_of(id)?)?;
        (form.first + net.feed_range(form.feed).end).checked_sub(1)
    }

    /// In which form a connection reads a room.
    fn form_of(&self, id: ConnectionId, room: &RoomName) -> Option<Form<N::Feed>> {
        let seat = self.seats.get(room)?;
        match self.connections.get(&id)?.session {
            Session::Line(_) => seat.lines,
            Session::Parcel(_) => seat.frames,
        }
    }
}
