//! Names that many referrals share, each once in memory. Not here: who may have a name (`directory`), and
//! which codes there are (`vocabulary`).

use std::collections::BTreeSet;

use crate::ids::{AgencyId, Code};

/// Most names of a kind that are shared; each further one is kept by itself.
const NAMES_MAX: usize = 65_536;

/// Names of agencies, and codes.
#[derive(Clone, Default, Debug)]
pub(crate) struct Names {
    agencies: BTreeSet<AgencyId>,
    codes: BTreeSet<Code>,
}

/// What is shared changes nothing that is known.
impl PartialEq for Names {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Names {
    /// The shared form of an agency's name.
    pub(crate) fn agency(&mut self, name: &mut AgencyId) {
        share(&mut self.agencies, name);
    }

    /// The shared form of a code.
    pub(crate) fn code(&mut self, name: &mut Code) {
        share(&mut self.codes, name);
    }
}

fn share<N: Ord + Clone>(names: &mut BTreeSet<N>, name: &mut N) {
    if let Some(shared) = names.get(name) {
        name.clone_from(shared);
    } else if names.len() < NAMES_MAX {
        names.insert(name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_kept_once() {
        let name = || AgencyId::parse("ae.dfwac", "from").unwrap();
        let (mut first, mut second) = (name(), name());
        let mut names = Names::default();
        names.agency(&mut first);
        names.agency(&mut second);
        assert_eq!(first, second);
        assert!(std::ptr::eq(first.as_str(), second.as_str()));
        assert!(!std::ptr::eq(first.as_str(), name().as_str()));
    }
}
