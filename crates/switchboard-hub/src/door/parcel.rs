//! The parcel door: messages and files, most of them from programs that never read.
//!
//! To those it never writes a byte: an answer that nobody reads would turn the client's close into
//! a reset and cost it the rest of its upload. What it has to say is in how it ends: an end in good
//! order means that everything was taken, a reset that something was not. Only who asks in a header
//! to be answered, or to follow a room, is written to.

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use switchboard_wire::{
    Answer, EntryFrame, EntryKind as FrameKind, Fields, FileName, MessageId, ParcelError,
    ParcelEvent, ParcelLimits, ParcelMachine, RoomName,
};

use crate::limits::{Limits, PENDING_PARCELS_MAX, PENDING_TEXT_BYTES_MAX};
use crate::log::{LogEntry, LogKind};
use crate::room::{Entry, EntryKind};
use crate::store::UploadId;

/// One client's conversation.
#[derive(Debug)]
pub struct ParcelSession {
    machine: ParcelMachine,
    idle: Duration,
    idle_following: Duration,
    heard: Instant,
    /// What was received and is not in the room yet, in order: a message behind a file waits until
    /// the file is stored, so that the room sees both in the order in which they were sent.
    pending: VecDeque<Pending>,
    pending_text_bytes: usize,
    /// The file that is being received.
    upload: Option<Upload>,
    /// The file whose sender asked how much of it there is, until it begins.
    offered: Option<UploadId>,
    /// Something was not taken: the conversation ends with a reset.
    refused: bool,
}

/// A file on its way to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its number at the store.
    pub id: UploadId,
    /// The name that it came with.
    pub name: FileName,
    /// How many bytes were announced.
    pub bytes: u64,
    /// How many of them have come.
    pub received: u64,
    /// What else its header said.
    pub fields: Fields,
}

#[derive(Debug, PartialEq, Eq)]
enum Pending {
    Message {
        text: String,
        fields: Fields,
    },
    File {
        id: UploadId,
        stored: Option<(FileName, u64)>,
        fields: Fields,
    },
}

/// What is ready for the room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// A stored file.
    File {
        /// Its final name.
        name: FileName,
        /// Its size.
        bytes: u64,
        /// What else its header said.
        fields: Fields,
    },
    /// A message.
    Message {
        /// Its text.
        text: String,
        /// What else its header said.
        fields: Fields,
    },
}

impl ParcelSession {
    /// A session that begins now.
    #[must_use]
    pub fn new(limits: &Limits, now: Instant) -> Self {
        let machine = ParcelMachine::new(
            ParcelLimits {
                message_bytes: limits.message_bytes,
                file_bytes: limits.file_bytes,
                idle: limits.parcel_idle,
                frame: limits.frame_time,
                ..ParcelLimits::default()
            },
            now,
        );
        Self {
            machine,
            idle: limits.parcel_idle,
            idle_following: limits.chat_idle,
            heard: now,
            pending: VecDeque::new(),
            pending_text_bytes: 0,
            upload: None,
            offered: None,
            refused: false,
        }
    }

    /// Takes bytes from the front of `bytes` and gives the next event; `None` when they are used
    /// up. The caller reports what it does about files with [`ParcelSession::begin`] and the calls
    /// below it.
    ///
    /// # Errors
    /// The peer does not speak parcels, and the conversation cannot go on.
    pub fn push<'a>(
        &mut self,
        now: Instant,
        bytes: &mut &'a [u8],
    ) -> Result<Option<ParcelEvent<'a>>, ParcelError> {
        self.heard = now;
        self.machine.push(now, bytes)
    }

    /// The peer has ended its side.
    ///
    /// # Errors
    /// In the middle of a parcel.
    pub fn end(&self) -> Result<(), ParcelError> {
        self.machine.end()
    }

    /// When [`ParcelSession::expire`] may have something to say at the earliest.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.machine.deadline().min(self.heard + self.idle)
    }

    /// Why the connection has to end now, if it has to.
    #[must_use]
    pub fn expire(&self, now: Instant) -> Option<ParcelError> {
        let idle = now >= self.heard + self.idle;
        self.machine
            .expire(now)
            .or_else(|| idle.then_some(ParcelError::Idle { idle: self.idle }))
    }

    /// The connection was not read from `since` until now, for the hub's own reasons: that time is
    /// not the peer's.
    pub fn excuse(&mut self, since: Instant, now: Instant) {
        self.heard = now;
        self.machine.excuse(now.saturating_duration_since(since));
    }

    /// A file is announced whose sender asks how much of it there is; it is to
    /// [begin](Self::begin) with the same number.
    pub const fn offer(&mut self, id: UploadId) {
        self.offered = Some(id);
    }

    /// The number of the file that is announced and has not begun.
    pub const fn take_offer(&mut self) -> Option<UploadId> {
        self.offered.take()
    }

    /// A file begins.
    pub fn begin(&mut self, id: UploadId, name: FileName, bytes: u64, fields: Fields) {
        self.upload = Some(Upload {
            id,
            name,
            bytes,
            received: 0,
            fields,
        });
    }

    /// Bytes of the file came; answers which upload they belong to.
    pub fn data(&mut self, len: usize) -> Option<UploadId> {
        let upload = self.upload.as_mut()?;
        upload.received += u64::try_from(len).unwrap_or(u64::MAX);
        Some(upload.id)
    }

    /// True if what `bytes` begins with is a parcel of its own. What is left of one that counts for
    /// nothing is taken off the front of it before.
    pub fn is_next(&mut self, now: Instant, bytes: &mut &[u8]) -> bool {
        self.machine.pass_over(now, bytes);
        self.machine.is_between()
    }

    /// The file is whole; answers which upload it was.
    pub fn commit(&mut self) -> Option<UploadId> {
        let upload = self.upload.take()?;
        self.pending.push_back(Pending::File {
            id: upload.id,
            stored: None,
            fields: upload.fields,
        });
        Some(upload.id)
    }

    /// The file will not become whole; answers which one it was.
    pub const fn abort(&mut self) -> Option<Upload> {
        self.upload.take()
    }

    /// A message came.
    pub fn message(&mut self, text: String, fields: Fields) {
        self.pending_text_bytes += text.len();
        self.pending.push_back(Pending::Message { text, fields });
    }

    /// The client receives what happens in a room from now on, and may be silent for as long as a
    /// member of the chat.
    pub const fn follow(&mut self) {
        self.idle = self.idle_following;
        self.machine.set_idle(self.idle);
    }

    /// Something was not taken; the caller logs why.
    pub const fn refuse(&mut self) {
        self.refused = true;
    }

    /// The store has stored a file.
    pub fn stored(&mut self, upload: UploadId, name: FileName, bytes: u64) {
        for pending in &mut self.pending {
            if let Pending::File { id, stored, .. } = pending
                && *id == upload
            {
                *stored = Some((name, bytes));
                return;
            }
        }
    }

    /// What the header of a file said that is being received, or is not stored yet.
    #[must_use]
    pub fn fields_of(&self, upload: UploadId) -> Option<&Fields> {
        let received = self.upload.as_ref().filter(|file| file.id == upload);
        let waits = |item: &'_ Pending| matches!(item, Pending::File { id, .. } if *id == upload);
        match self.pending.iter().find(|item| waits(item)) {
            Some(Pending::File { fields, .. }) => Some(fields),
            _ => received.map(|file| &file.fields),
        }
    }

    /// The store could not store a file; true if that file is still being received, or has yet to
    /// begin.
    pub fn failed(&mut self, upload: UploadId) -> bool {
        self.refused = true;
        self.pending
            .retain(|item| !matches!(item, Pending::File { id, .. } if *id == upload));
        if self.offered == Some(upload) {
            self.offered = None;
            return true;
        }
        if self
            .upload
            .as_ref()
            .is_some_and(|current| current.id == upload)
        {
            self.upload = None;
            return true;
        }
        false
    }

    /// The next thing that is ready for the room, in the order in which it was sent.
    pub fn ready(&mut self) -> Option<Ready> {
        if let Pending::File { stored: None, .. } = self.pending.front()? {
            return None;
        }
        match self.pending.pop_front()? {
            Pending::Message { text, fields } => {
                self.pending_text_bytes -= text.len();
                Some(Ready::Message { text, fields })
            }
            Pending::File { stored, fields, .. } => stored.map(|(name, bytes)| Ready::File {
                name,
                bytes,
                fields,
            }),
        }
    }

    /// True when nothing waits for the store.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// True when so much waits for the store that no more should be read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pending.len() >= PENDING_PARCELS_MAX
            || self.pending_text_bytes >= PENDING_TEXT_BYTES_MAX
    }

    /// True if something of this conversation was not taken.
    #[must_use]
    pub const fn was_refused(&self) -> bool {
        self.refused
    }
}

/// An entry of a room as a follower receives it.
#[must_use]
pub fn encode_entry(room: &RoomName, epoch: u64, entry: &Entry) -> Bytes {
    let text = |text: &str| text.to_owned();
    let frame = EntryFrame {
        room: text(room.as_str()),
        epoch,
        seq: entry.seq,
        time_ms: entry.time_ms,
        from: text(&entry.author),
        reply_to: entry.reply_to,
        id: entry.id.clone(),
        kind: match &entry.kind {
            EntryKind::File { name, bytes } => FrameKind::Stored {
                file_name: text(name.as_str()),
                file_bytes: *bytes,
            },
            EntryKind::Joined => FrameKind::Joined,
            EntryKind::Left { reason } => FrameKind::Left {
                reason: reason.clone(),
            },
            EntryKind::Renamed { name } => FrameKind::Renamed { name: text(name) },
            EntryKind::Text(said) => FrameKind::Text(said.clone()),
            EntryKind::Topic { topic } => FrameKind::Topic {
                topic: topic.as_ref().map(|topic| text(topic.as_str())),
            },
        },
    };
    encode_frame(frame)
}

/// An entry of the log as a follower receives it.
#[must_use]
pub fn encode_logged(entry: &LogEntry) -> Bytes {
    let text = || entry.text.clone();
    let some_text = || Some(text()).filter(|text| !text.is_empty());
    let frame = EntryFrame {
        room: entry.room.to_string(),
        epoch: entry.epoch,
        seq: entry.seq,
        time_ms: u64::try_from(entry.time_ms).unwrap_or(0),
        from: entry.author.to_string(),
        reply_to: entry.reply_to,
        id: entry.client_id.as_deref().and_then(MessageId::new),
        kind: match entry.kind {
            LogKind::File => FrameKind::Stored {
                file_name: text(),
                file_bytes: entry.bytes.unwrap_or(0),
            },
            LogKind::Joined => FrameKind::Joined,
            LogKind::Left => FrameKind::Left {
                reason: some_text(),
            },
            LogKind::Renamed => FrameKind::Renamed { name: text() },
            LogKind::Text => FrameKind::Text(text()),
            LogKind::Topic => FrameKind::Topic { topic: some_text() },
        },
    };
    encode_frame(frame)
}

/// What is too long for a frame is told as a gap, so that whoever counts knows that something was
/// there.
fn encode_frame(frame: EntryFrame) -> Bytes {
    match frame.encode() {
        Ok(bytes) => bytes.into(),
        Err(_too_long) => encode_answer(&Answer::Gap {
            room: frame.room,
            epoch: frame.epoch,
            from: frame.seq,
            to: frame.seq,
        }),
    }
}

/// An answer as its asker receives it.
#[must_use]
pub fn encode_answer(answer: &Answer) -> Bytes {
    // What is in an answer is bounded far below what a frame takes; a reason is the hub's own text.
    answer.encode().unwrap_or_default().into()
}
