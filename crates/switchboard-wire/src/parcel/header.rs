//! What a parcel's header says, besides that it is one.

use std::fmt;

use serde_json::{Map, Value};

use super::{ParcelError, Refusal};
use crate::file_name::FileName;
use crate::json::{self, Json};
use crate::limits::MESSAGE_ID_BYTES_MAX;
use crate::name::{Nick, RoomName};
use crate::text::clean;

/// How many characters of an unknown type are repeated back.
const TYPE_CHARS_SHOWN: usize = 32;

/// The version of the extension that is understood here. Of another one nothing is known, so that a
/// header with it is a plain one.
const VERSION: u64 = 2;

/// The plain header of a message in both of its usual spellings: most headers are this one.
const PLAIN: [&[u8]; 2] = [br#"{"msg_type":"msg"}"#, br#"{"msg_type": "msg"}"#];

/// What a header says about a message or a file, all of it optional.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Fields {
    /// `room`: where it goes; the lobby otherwise.
    pub room: Option<RoomName>,
    /// `from`: who says it; the sender's address otherwise.
    pub from: Option<Nick>,
    /// `reply_to`: the number of the entry that it answers, from 1.
    pub reply_to: Option<u64>,
    /// `id`: the sender's own number for it. What comes twice is taken once.
    pub id: Option<MessageId>,
    /// `sb` with `"v":2` and `"ack"` in its `want`: the sender reads, and wants to be told that it
    /// was taken.
    pub wants_ack: bool,
    /// The same with `"resume"`, of a file: the sender reads, and waits to be told how much of it
    /// is there already. Needs [`content`](Self::content).
    pub wants_resume: bool,
    /// `size` and `blake3` in `sb`: what the whole file is.
    pub content: Option<Content>,
}

impl Fields {
    /// The sender reads, and is told when its parcel is not taken.
    #[must_use]
    pub const fn is_answered(&self) -> bool {
        self.wants_ack || self.wants_resume
    }
}

/// A whole file, whatever part of it is sent.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Content {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its hash.
    pub hash: ContentHash,
}

/// The BLAKE3 hash of a file. As text it is 64 hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// Reads 64 hexadecimal digits; `None` if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return None;
        };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        let byte = |[high, low]: [u8; 2]| u8::try_from(digit(high)? << 4 | digit(low)?).ok();
        let bytes: Vec<u8> = pairs.iter().copied().map(byte).collect::<Option<_>>()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A wish to receive what happens in a room: the header of a `join`, which has an `sb` with
/// `"v":2`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Follow {
    /// `room`: which; the lobby if none is named.
    pub room: RoomName,
    /// `from`: the name to take; the address otherwise.
    pub from: Option<Nick>,
    /// `since` in `sb`: the last number that the follower knows; 0 for the whole history. Without
    /// it, only what is new.
    pub since: Option<u64>,
    /// `epoch` in `sb`: which history that number counts in.
    pub epoch: Option<u64>,
}

/// The number that a client gives a message, to recognise it by: 1 to 64 printable ASCII
/// characters.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// Checks a number; `None` if it is none.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let fits = (1..=MESSAGE_ID_BYTES_MAX).contains(&id.len());
        let is_printable = id.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && is_printable).then(|| Self(id.into()))
    }

    /// The number as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a usable header begins.
pub(super) enum Kind {
    File(FileName, Fields),
    Join(Follow),
    Message(Fields),
}

/// A header that cannot be used, and what could be read of it.
pub(super) struct Refused {
    pub(super) what: Refusal,
    pub(super) fields: Fields,
}

/// Reads a header: outside, whether it is JSON; inside, whether it can be used.
pub(super) fn read(header: &[u8]) -> Result<Result<Kind, Refused>, ParcelError> {
    if PLAIN.contains(&header) {
        return Ok(Ok(Kind::Message(Fields::default())));
    }
    // Of a key that stands twice the last one counts, as in Python.
    let header = json::parse(header).map_err(|reason| ParcelError::HeaderNotJson {
        bytes: header.len(),
        reason,
    })?;
    let mut fields = Fields::default();
    let kind = read_object(&header, &mut fields);
    Ok(kind.map_err(|what| Refused { what, fields }))
}

fn read_object(header: &Value, fields: &mut Fields) -> Result<Kind, Refusal> {
    let header = header.as_object().ok_or(Refusal::HeaderNotObject)?;
    // First of all who is to be answered, and about what.
    let extension = extension(header)?;
    let (mut since, mut epoch) = (None, None);
    if let Some(sb) = extension {
        // Whoever wants to follow a room reads, and would wait for an answer for ever.
        fields.wants_ack = header.get("msg_type").and_then(Value::as_str) == Some("join");
        read_wants(sb, fields)?;
        since = number(sb, "since")?;
        epoch = number(sb, "epoch")?;
    }
    if let Some(id) = text(header, "id")? {
        fields.id = Some(MessageId::new(id).ok_or(Refusal::IdUnusable)?);
    }
    let msg_type = header.get("msg_type").ok_or(Refusal::TypeMissing)?;
    let msg_type = msg_type.as_str().ok_or(Refusal::TypeNotText)?;
    if let Some(room) = text(header, "room")? {
        fields.room = Some(RoomName::new(room).map_err(Refusal::RoomUnusable)?);
    }
    if let Some(from) = text(header, "from")? {
        fields.from = Some(Nick::new(from).map_err(Refusal::FromUnusable)?);
    }
    fields.reply_to = number(header, "reply_to")?;
    if fields.reply_to == Some(0) {
        let field = "reply_to";
        return Err(Refusal::FieldNotNumber { field });
    }
    match msg_type {
        "msg" => Ok(Kind::Message(std::mem::take(fields))),
        "file" => {
            let name = header.get("file_name").ok_or(Refusal::FileNameMissing)?;
            let name = name.as_str().ok_or(Refusal::FileNameNotText)?;
            let name = FileName::reduce(name).map_err(Refusal::FileNameUnusable)?;
            if extension.is_some() {
                fields.content = content(header)?;
            }
            if fields.wants_resume && fields.content.is_none() {
                return Err(Refusal::ContentMissing);
            }
            Ok(Kind::File(name, std::mem::take(fields)))
        }
        "join" => {
            extension.ok_or(Refusal::JoinUnanswered)?;
            Ok(Kind::Join(Follow {
                room: fields.room.take().unwrap_or_else(RoomName::lobby),
                from: fields.from.take(),
                since,
                epoch,
            }))
        }
        unknown => {
            let msg_type = clean(unknown).chars().take(TYPE_CHARS_SHOWN).collect();
            Err(Refusal::TypeUnknown { msg_type })
        }
    }
}

/// The header's `sb`, if it is of the version that is understood here.
fn extension(header: &Map<String, Value>) -> Result<Option<&Map<String, Value>>, Refusal> {
    let Some(sb) = header.get("sb") else {
        return Ok(None);
    };
    let sb = sb.as_object().ok_or(Refusal::ExtensionMalformed)?;
    let version = sb.get("v").and_then(Value::as_u64);
    let version = version.ok_or(Refusal::ExtensionMalformed)?;
    Ok((version == VERSION).then_some(sb))
}

/// What the sender wants to be told.
fn read_wants(sb: &Map<String, Value>, fields: &mut Fields) -> Result<(), Refusal> {
    if let Some(want) = sb.get("want") {
        for word in want.as_array().ok_or(Refusal::ExtensionMalformed)? {
            let word = word.as_str().ok_or(Refusal::ExtensionMalformed)?;
            fields.wants_ack |= word == "ack";
            fields.wants_resume |= word == "resume";
        }
    }
    Ok(())
}

/// What a header's `sb` says of the whole file.
fn content(header: &Map<String, Value>) -> Result<Option<Content>, Refusal> {
    let Some(sb) = header.get("sb").and_then(Value::as_object) else {
        return Ok(None);
    };
    let Some(hash) = text(sb, "blake3")? else {
        return Ok(None);
    };
    let hash = ContentHash::parse(hash).ok_or(Refusal::HashUnusable)?;
    let bytes = number(sb, "size")?.ok_or(Refusal::FieldNotNumber { field: "size" })?;
    Ok(Some(Content { bytes, hash }))
}

fn text<'a>(
    object: &'a Map<String, Value>,
    field: &'static str,
) -> Result<Option<&'a str>, Refusal> {
    let read = |value: &'a Value| value.as_str().ok_or(Refusal::FieldNotText { field });
    object.get(field).map(read).transpose()
}

fn number(object: &Map<String, Value>, field: &'static str) -> Result<Option<u64>, Refusal> {
    let read = |value: &Value| value.as_u64().ok_or(Refusal::FieldNotNumber { field });
    object.get(field).map(read).transpose()
}

/// The header of a message.
pub(super) fn message(fields: &Fields) -> String {
    let mut json = Json::new();
    json.text("msg_type", "msg");
    add_fields(&mut json, fields);
    json.end()
}

/// The header of a file.
pub(super) fn file(name: &str, fields: &Fields) -> String {
    let mut json = Json::new();
    json.text("msg_type", "file");
    json.text("file_name", name);
    add_fields(&mut json, fields);
    json.end()
}

/// The header that begins to follow a room.
pub(super) fn join(follow: &Follow) -> String {
    let mut json = Json::new();
    json.text("msg_type", "join");
    json.text("room", follow.room.as_str());
    if let Some(from) = &follow.from {
        json.text("from", from.as_str());
    }
    let mut sb = Json::new();
    sb.number("v", VERSION);
    if let Some(since) = follow.since {
        sb.number("since", since);
    }
    if let Some(epoch) = follow.epoch {
        sb.number("epoch", epoch);
    }
    json.object("sb", sb);
    json.end()
}

fn add_fields(json: &mut Json, fields: &Fields) {
    if let Some(room) = &fields.room {
        json.text("room", room.as_str());
    }
    if let Some(from) = &fields.from {
        json.text("from", from.as_str());
    }
    if let Some(reply_to) = fields.reply_to {
        json.number("reply_to", reply_to);
    }
    if let Some(id) = &fields.id {
        json.text("id", id.as_str());
    }
    if fields.is_answered() || fields.content.is_some() {
        let mut sb = Json::new();
        sb.number("v", VERSION);
        match (fields.wants_ack, fields.wants_resume) {
            (true, true) => sb.texts("want", &["ack", "resume"]),
            (true, false) => sb.texts("want", &["ack"]),
            (false, true) => sb.texts("want", &["resume"]),
            (false, false) => {}
        }
        if let Some(Content { bytes, hash }) = fields.content {
            sb.number("size", bytes);
            sb.text("blake3", &hash.to_string());
        }
        json.object("sb", sb);
    }
}
