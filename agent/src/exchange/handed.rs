//! What was handed over through the folder and taken: how much of each referral. What was taken is never handed
//! over again; what the file does not say is. Not here: the handing over (`inbox`).

use std::collections::BTreeMap;

use proto::ids::{AgencyId, EnvelopeId, ReferralKey};
use serde::{Deserialize, Serialize};

use crate::{
    case::{Case, Standing},
    folder::{Folder, FolderFault, Name},
};

/// Longest file of what was taken: of a million referrals.
const FILE_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// So much of a referral: every envelope that came, every answer to one of ours, every word of the gateway's counts
/// one. It only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) struct News(pub(super) u64);

impl News {
    /// Of a case as it stands.
    pub(super) fn of(case: &Case) -> Self {
        let of_step = |standing: &Standing| match standing {
            Standing::Queued => 0,
            Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn => 1,
            Standing::Arrived(deliveries) => deliveries.len(),
        };
        let count = case.steps.iter().map(|step| of_step(&step.standing)).sum::<usize>();
        Self(u64::try_from(count.saturating_add(case.told.len())).unwrap_or(u64::MAX))
    }
}

/// What is handed over: a referral, up to some news of it. Its name is the name of its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HandOver {
    pub(super) referral: ReferralKey,
    pub(super) news: News,
}

impl HandOver {
    /// `<referral>.<opened by>.<news>`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}.{}", self.referral.id, self.referral.opened_by, self.news.0)
    }

    /// Reads a name. Anything else is somebody's own folder.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (id, rest) = name.split_once('.')?;
        let (opened_by, news) = rest.rsplit_once('.')?;
        let id = id_of(id)?;
        let opened_by = AgencyId::parse(opened_by, "opened_by").ok()?;
        let found = Self { referral: ReferralKey { id, opened_by }, news: News(news.parse().ok()?) };
        // One name for each: not `007`.
        Some(found).filter(|found| found.name() == name)
    }
}

/// What was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Handed(Option<BTreeMap<String, News>>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    taken: BTreeMap<String, News>,
}

impl Handed {
    /// Reads the agent's file of it. One that is not there, or cannot be read, says that nothing was.
    pub(super) fn read(folder: &Folder) -> Self {
        let file = folder.read_at_most(Name::Exchange, FILE_BYTES_MAX).ok();
        Self(file.and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok()).map(|file| file.taken))
    }

    /// Whether anything was ever written down.
    pub(super) const fn is_new(&self) -> bool {
        self.0.is_none()
    }

    /// How much of a referral was taken.
    pub(super) fn taken(&self, referral: &ReferralKey) -> News {
        self.0.as_ref().and_then(|taken| taken.get(&name(referral)).copied()).unwrap_or_default()
    }

    /// Writes down what was taken, before anything is done about it.
    pub(super) fn take(&mut self, taken: &[HandOver], folder: &Folder) -> Result<(), FolderFault> {
        let mut all = self.0.clone().unwrap_or_default();
        for one in taken {
            let known = all.entry(name(&one.referral)).or_default();
            *known = one.news.max(*known);
        }
        let file = File { taken: all };
        let bytes = serde_json::to_vec(&file).unwrap_or_default();
        folder.write(Name::Exchange, &bytes)?;
        self.0 = Some(file.taken);
        Ok(())
    }
}

fn id_of(text: &str) -> Option<EnvelopeId> {
    let number = u128::from_str_radix(&text.replace('-', ""), 16).ok()?;
    EnvelopeId::parse(&number.to_be_bytes(), "referral").ok()
}

fn name(referral: &ReferralKey) -> String {
    format!("{}.{}", referral.id, referral.opened_by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_over_is_named_so_and_never_otherwise() {
        let name = "0192abcd-ef01-7fff-bfff-ffffffffffff.ae-rk.aman.12";
        let parsed = HandOver::parse(name).unwrap();
        assert_eq!((parsed.referral.opened_by.as_str(), parsed.news), ("ae-rk.aman", News(12)));
        assert_eq!(parsed.name(), name);
        for other in
            ["notes", "case.ready", "0192abcd.ae.dfwac.1", &name.replace(".12", ".012"), &name.to_uppercase()]
        {
            assert_eq!(HandOver::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_taken_stays_taken() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(&place.path().join("agent")).unwrap();
        let mut handed = Handed::read(&folder);
        assert!(handed.is_new());
        let mut one = HandOver::parse("0192abcd-ef01-7fff-bfff-ffffffffffff.ae-rk.aman.3").unwrap();
        handed.take(&[one.clone()], &folder).unwrap();
        one.news = News(2);
        handed.take(&[one.clone()], &folder).unwrap();
        let again = Handed::read(&folder);
        assert_eq!((again.taken(&one.referral), again.is_new()), (News(3), false));
    }
}
