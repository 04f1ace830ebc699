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
    reserved: BTreeSet<String>,
}

#[derive(Debug)]
struct Holder {
    owner: MemberId,
    nick: Nick,
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
            reserved: RESERVED_NICKS.iter().map(|nick| look(nick)).collect(),
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
        let nick = nick.clone();
        if self.reserved.contains(&look) {
            return Err(NameRefusal::Reserved { nick });
        }
        if let Some(holder) = self.holder_of(&look)
            && holder.owner != owner
        {
            return Err(if holder.nick.canonical() == form {
                NameRefusal::Taken { nick }
            } else {
                let other = holder.nick.clone();
                NameRefusal::LooksLike { nick, other }
            });
        }
        self.release(owner);
        let former = self.former.remove(&look);
        let lent = former.map(|holder| holder.lent).unwrap_or_default();
        self.looks.insert(owner, look.clone());
        self.taken.insert(look, Holder { owner, nick, lent });
        Ok(())
    }

    /// Takes back what `owner` is called, if it has a name. One that is lent is not free before it
    /// is given back.
    pub fn release(&mut self, owner: MemberId) {
        if let Some(look) = self.looks.remove(&owner)
            && let Some(holder) = self.taken.remove(&look)
            && holder.lent.strong_count() > 0
        {
            self.former.insert(look, holder);
        }
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
        {
            self.former.remove(&look);
        }
    }

    /// Who has a name that looks like this, or has had it and not got it back.
    fn holder_of(&self, look: &str) -> Option<&Holder> {
        let is_lent = |holder: &&Holder| holder.lent.strong_count() > 0;
        let former = || self.former.get(look).filter(is_lent);
        self.taken.get(look).or_else(former)
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
