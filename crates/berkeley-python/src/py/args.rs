//! Arguments by place and by name.

use super::object::Object;
use super::raised::{Exception, Raised, Result};

/// The arguments of a call.
pub(crate) struct Arguments<'a> {
    placed: &'a [&'a Object],
    names: &'a [&'a Object],
    values: &'a [&'a Object],
}

impl<'a> Arguments<'a> {
    /// Those with places, and those with names.
    pub(super) const fn new(
        placed: &'a [&'a Object],
        names: &'a [&'a Object],
        values: &'a [&'a Object],
    ) -> Self {
        Self {
            placed,
            names,
            values,
        }
    }

    /// Puts them in the order in which the function `called` declares them, of which the first
    /// `required` have to be there and the first `placed_max` may come without a name.
    ///
    /// # Errors
    /// `TypeError` for one too many, one missing, one twice, and a name that is none.
    pub(crate) fn bind<const N: usize>(
        &self,
        called: &str,
        declared: [&str; N],
        required: usize,
        placed_max: usize,
    ) -> Result<[Option<&'a Object>; N]> {
        let mut bound = [None; N];
        if self.placed.len() > placed_max {
            let given = self.placed.len() + self.names.len();
            return Err(Exception::Type.raise(&format!(
                "{called}() takes at most {placed_max} arguments ({given} given)"
            )));
        }
        for (place, value) in bound.iter_mut().zip(self.placed) {
            *place = Some(*value);
        }
        for (name, value) in self.names.iter().zip(self.values) {
            let place = declared
                .iter()
                .position(|declared| name.is_equal_text(declared))
                .and_then(|index| bound.get_mut(index));
            match place {
                Some(place @ None) => *place = Some(*value),
                Some(Some(_)) => return Err(twice(called, name)),
                None => return Err(unknown(called, name)),
            }
        }
        let mut needed = declared.iter().zip(&bound).take(required);
        match needed.find(|(_, value)| value.is_none()) {
            Some((name, _)) => {
                Err(Exception::Type
                    .raise(&format!("{called}() missing required argument '{name}'")))
            }
            None => Ok(bound),
        }
    }
}

#[cold]
fn twice(called: &str, name: &Object) -> Raised {
    let name = name.ascii().unwrap_or("?");
    Exception::Type.raise(&format!(
        "argument for {called}() given by name ('{name}') and position"
    ))
}

#[cold]
fn unknown(called: &str, name: &Object) -> Raised {
    let name = name.ascii().unwrap_or("?");
    Exception::Type.raise(&format!(
        "'{name}' is an invalid keyword argument for {called}()"
    ))
}
