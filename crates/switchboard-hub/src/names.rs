//! Who is called what, in the whole hub.
//!
//! A name belongs to one connection at a time, and so does everything that looks like it: what
//! differs only in case, width or encoding, and what is made of other letters of the same look (a
//! Cyrillic `а` in `аlice`). It is plain data: the same calls have the same results.
//!
//! ```
//! use switchboard_hub::names::{NameRefusal, Names};
//! use switchboard_hub::room::MemberId;
//! use switchboard_wire::Nick;
//!
//! let mut names = Names::new();
//! let (alice, cyrillic) = (Nick::new("alice")?, Nick::new("\u{430}lice")?);
//! assert!(names.take(MemberId(1), &alice).is_ok());
//! let refusal = names.take(MemberId(2), &cyrillic).unwrap_err();
//! assert_eq!(refusal, NameRefusal::LooksLike { nick: cyrillic, other: alice });
//! # Ok::<(), switchboard_wire::NickError>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::{Arc, Weak};

use switchboard_wire::Nick;
use switchboard_wire::limits::NICK_CHARS_MAX;
use switchboard_wire::name::{RESERVED_NICKS, canonical};
use unicode_security::skeleton;

use crate::room::MemberId;

/// The names that are taken. See the module's documentation.
#[derive(Debug)]
pub struct Names {
    /// By what they look like.
    taken: BTreeMap<String, Holder>,
    /// The look of what each holder is called.
    looks: BTreeMap<MemberId, String>,
    /// Names that were given up while they were lent, by what they look like.
    former: BTreeMap<String, Holder>,
    /// What those names look like besides, as they are written, and by which look to find them.
    written: BTreeMap<String, String>,
    reserved: BTreeSet<String>,
}

#[derive(Debug)]
struct Holder {
    owner: MemberId,
    nick: Nick,
    /// What it looks like as it is written, if that is something else.
    written: Option<String>,
    /// To whom it is lent, if it is.
    lent: Weak<Lent>,
}

/// A name for as long as somebody may still show it whose owner has given it up: until then nobody
/// else gets it.
#[derive(Debug)]
pub struct Lent {
    look: String,
}

/// Why a name cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameRefusal {
    /// Somebody else has a name that looks the same.
    #[error("{nick} looks like {other}, and somebody else is that: take another name")]
    LooksLike {
        /// The name as it was asked for.
        nick: Nick,
        /// The other's name.
        other: Nick,
    },
    /// It looks like a name that speaks for the hub or for everybody.
    #[error("{nick} looks like a reserved name: take another name")]
    Reserved {
        /// The name as it was asked for.
        nick: Nick,
    },
    /// Somebody else has it.
    #[error("somebody else is {nick}: take another name")]
    Taken {
        /// The name as it was asked for.
        nick: Nick,
    },
}

impl Default for Names {
    fn default() -> Self {
        Self::new()
    }
}

impl Names {
    /// Nobody has a name.
    #[must_use]
    pub fn new() -> Self {
        Self {
            taken: BTreeMap::new(),
            looks: BTreeMap::new(),
            former: BTreeMap::new(),
            written: BTreeMap::new(),
            reserved: reserved(),
        }
    }

    /// Gives `owner` a name in place of the one it had. One that is lent is not free before it is
    /// given back.
    ///
    /// # Errors
    /// [`NameRefusal`]; `owner` keeps what it had.
    pub fn take(&mut self, owner: MemberId, nick: &Nick) -> Result<(), NameRefusal> {
        let form = nick.canonical();
        let look = look(&form);
        let written = Some(written_look(nick.as_str())).filter(|written| *written != look);
        let nick = nick.clone();
        let looks = || iter::once(&look).chain(&written);
        if looks().any(|look| self.reserved.contains(look)) {
            return Err(NameRefusal::Reserved { nick });
        }
        let mut holders = looks().filter_map(|look| self.holder_of(look));
        if let Some(holder) = holders.find(|holder| holder.owner != owner) {
            return Err(if holder.nick.canonical() == form {
                NameRefusal::Taken { nick }
            } else {
                let other = holder.nick.clone();
                NameRefusal::LooksLike { nick, other }
            });
        }
        self.release(owner);
        let former = self.former.remove(&look);
        let lent = former.map(|former| self.forget(&look, former).lent);
        self.looks.insert(owner, look.clone());
        if let Some(written) = &written {
            self.written.insert(written.clone(), look.clone());
        }
        let holder = Holder {
            owner,
            nick,
            written,
            lent: lent.unwrap_or_default(),
        };
        self.taken.insert(look, holder);
        Ok(())
    }

    /// Takes back what `owner` is called, if it has a name. One that is lent is not free before it
    /// is given back.
    pub fn release(&mut self, owner: MemberId) {
        if let Some(look) = self.looks.remove(&owner)
            && let Some(holder) = self.taken.remove(&look)
        {
            if holder.lent.strong_count() > 0 {
                self.former.insert(look, holder);
            } else {
                self.forget(&look, holder);
            }
        }
    }

    /// A name with this look is not held any more: nor is what it looks like as it was written.
    fn forget(&mut self, look: &str, holder: Holder) -> Holder {
        if let Some(written) = &holder.written
            && self.written.get(written).is_some_and(|of| of == look)
        {
            self.written.remove(written);
        }
        holder
    }

    /// Lends what `owner` is called, if it has a name, to whoever shows it until it hears better.
    pub fn lend(&mut self, owner: MemberId) -> Option<Arc<Lent>> {
        let look = self.looks.get(&owner)?;
        let holder = self.taken.get_mut(look)?;
        Some(holder.lent.upgrade().unwrap_or_else(|| {
            let lent = Arc::new(Lent { look: look.clone() });
            holder.lent = Arc::downgrade(&lent);
            lent
        }))
    }

    /// A name that was lent is not shown any more. When all have given it back and its owner has
    /// given it up, it is free.
    pub fn give_back(&mut self, lent: Arc<Lent>) {
        if let Some(Lent { look }) = Arc::into_inner(lent)
            && let Some(holder) = self.former.get(&look)
            && holder.lent.strong_count() == 0
            && let Some(holder) = self.former.remove(&look)
        {
            self.forget(&look, holder);
        }
    }

    /// Who has a name that looks like this, or has had it and not got it back.
    fn holder_of(&self, look: &str) -> Option<&Holder> {
        let is_lent = |holder: &&Holder| holder.lent.strong_count() > 0;
        let by_look = |look: &str| {
            let former = || self.former.get(look).filter(is_lent);
            self.taken.get(look).or_else(former)
        };
        by_look(look).or_else(|| by_look(self.written.get(look)?))
    }

    /// Who has this name, in whatever case and width it is written; not who has one that only looks
    /// like it.
    #[must_use]
    pub fn owner_of(&self, name: &str) -> Option<MemberId> {
        // What is longer than any nick is none, and need not be looked at.
        if name.len() > NICK_CHARS_MAX * 4 {
            return None;
        }
        let form = canonical(name);
        let holder = self.taken.get(&look(&form))?;
        (holder.nick.canonical() == form).then_some(holder.owner)
    }

    /// The name that `owner` has taken.
    #[must_use]
    pub fn nick_of(&self, owner: MemberId) -> Option<&Nick> {
        Some(&self.taken.get(self.looks.get(&owner)?)?.nick)
    }

    /// How many names are not to be had.
    #[must_use]
    pub fn len(&self) -> usize {
        self.taken.len() + self.former.len()
    }

    /// True if every name is to be had.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a canonical name looks like: the same for names that cannot be told apart by their looks.
///
/// # References
/// UTS #39 §4, the skeleton, folded; a dot over an `i` or `j`, which has one, is not seen (§5.4).
fn look(form: &str) -> String {
    let skeleton: String = skeleton(form).collect();
    let dotless = skeleton.replace("i\u{307}", "i").replace("j\u{307}", "j");
    canonical(&dotless)
}

/// What a name looks like as it is written. Some capitals look like what their small letters do
/// not: `I` like `l`, a Cyrillic `В` like `B`.
fn written_look(nick: &str) -> String {
    look(&canonical(&skeleton(nick).collect::<String>()))
}

/// What the reserved names look like, small, capitalised and in capitals.
fn reserved() -> BTreeSet<String> {
    let looks = |nick: &str| {
        let capitals = nick.to_ascii_uppercase();
        let mut title = nick.to_owned();
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        [look(nick), written_look(&title), written_look(&capitals)]
    };
    RESERVED_NICKS.iter().flat_map(|nick| looks(nick)).collect()
}
