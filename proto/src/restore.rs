//! When a gateway that was put back from a backup may go on: what its witnesses must have said before it
//! signs anything. Not here: asking them, and what a backup is.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    digest::Digest,
    directory::{Directory, KeyPurpose, NewShard},
    ids::{AgencyId, TimeMs},
    log::{
        note::SignedNote,
        shard::{Cut, ShardNo},
    },
};

/// How much of both logs is there.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Leaves of the evidence log.
    pub evidence: u64,
    /// Leaves of the directory log.
    pub directory: u64,
}

/// What an agency holds of a log, beside what was put back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// Nothing that is not there.
    Part,
    /// More: a checkpoint or a receipt at this size, signed by the log. What lies between was acknowledged,
    /// and is lost here.
    Beyond(u64),
    /// A checkpoint that the log signed, of another tree: this is not a backup of it.
    Other(u64),
}

/// What an agency has reported. A witness reports of both logs.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Report {
    /// Of the evidence log.
    pub evidence: Option<Seen>,
    /// Of the directory log.
    pub directory: Option<Seen>,
}

impl Report {
    fn seen(&self) -> impl Iterator<Item = Seen> {
        self.evidence.into_iter().chain(self.directory)
    }

    const fn is_whole(&self) -> bool {
        self.evidence.is_some() && self.directory.is_some()
    }
}

/// What follows from the reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Some have not reported yet: by their ids.
    Waits(Vec<AgencyId>),
    /// All have reported, and none holds more: so many.
    GoesOn(u64),
    /// These hold more than is there, or of another tree. Whatever others say, it does not go on, but in a
    /// new shard ([`may_begin`]).
    Behind(Vec<AgencyId>),
}

/// The agencies that are witnesses: they have a witness key in force and are not suspended.
#[must_use]
pub fn witnesses(directory: &Directory, now: TimeMs) -> BTreeSet<AgencyId> {
    let witnesses = directory.agencies().filter(|(agency, entry)| {
        let mut keys = entry.keys.iter();
        !directory.is_suspended(agency, now)
            && keys.any(|key| key.key.purpose() == KeyPurpose::Witness && key.in_force(now))
    });
    witnesses.map(|(agency, _)| agency.clone()).collect()
}

/// Judges what was reported. Every witness is asked: one that stays silent may be the one that holds an
/// acknowledgement. Two administrators may go on without those that are silent ([`may_override`]).
#[must_use]
pub fn judge(witnesses: &BTreeSet<AgencyId>, reports: &BTreeMap<AgencyId, Report>) -> Verdict {
    let holds_more = |report: &Report| report.seen().any(|seen| seen != Seen::Part);
    let behind: Vec<_> =
        reports.iter().filter(|(_, report)| holds_more(report)).map(|(agency, _)| agency.clone()).collect();
    if !behind.is_empty() {
        return Verdict::Behind(behind);
    }
    let is_silent = |agency: &&AgencyId| !reports.get(*agency).is_some_and(Report::is_whole);
    let silent: Vec<_> = witnesses.iter().filter(is_silent).cloned().collect();
    if silent.is_empty() {
        Verdict::GoesOn(u64::try_from(witnesses.len()).unwrap_or(u64::MAX))
    } else {
        Verdict::Waits(silent)
    }
}

/// Whether two administrators may let it go on although some are silent: they name exactly what is there, so
/// that their word is good for this restore alone; and nobody who spoke holds more.
#[must_use]
pub fn may_override(verdict: &Verdict, there: Sizes, named: Sizes) -> bool {
    match verdict {
        Verdict::Waits(_) | Verdict::GoesOn(_) => there == named,
        Verdict::Behind(_) => false,
    }
}

/// Whether two administrators may let it go on in a new shard: they name exactly what is there and the
/// furthest that anybody has shown by now, so that nothing that is known is left out; and nobody who spoke
/// holds a checkpoint of another tree, of which this would be no continuation. Some may be silent: what they
/// hold beyond they push again.
#[must_use]
pub fn may_begin(reports: &BTreeMap<AgencyId, Report>, proposed: &NewShard, named: &NewShard) -> bool {
    let is_other = |seen| matches!(seen, Seen::Other(_));
    proposed == named && !reports.values().flat_map(Report::seen).any(is_other)
}

/// The furthest checkpoints that were shown, of those beyond what is there.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Furthest {
    evidence: Option<Shown>,
    directory: Option<Shown>,
    shard: Option<ShardNo>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Shown {
    at: (ShardNo, u64),
    note: SignedNote,
}

impl Furthest {
    /// Takes a checkpoint of the evidence log that the log has signed.
    pub fn evidence(&mut self, shown: (ShardNo, u64), note: &SignedNote) {
        self.shard = self.shard.max(Some(shown.0));
        further(&mut self.evidence, shown, note);
    }

    /// Takes a checkpoint of the directory log that the log has signed.
    pub fn directory(&mut self, shown: (ShardNo, u64), note: &SignedNote) {
        self.shard = self.shard.max(Some(shown.0));
        further(&mut self.directory, shown, note);
    }

    /// The shard by which both logs would go on from where they end: each given with its size and root.
    /// None when no number is left.
    #[must_use]
    pub fn proposed(
        &self,
        present: ShardNo,
        evidence: (u64, Digest),
        directory: (u64, Digest),
    ) -> Option<NewShard> {
        let cut = |(size, root), shown: &Option<Shown>| {
            let beyond = shown.as_ref().filter(|shown| shown.at.1 > size);
            Cut { size, root, witnessed: beyond.map(|shown| shown.note.clone()) }
        };
        Some(NewShard {
            number: self.shard.max(Some(present))?.next()?,
            evidence: cut(evidence, &self.evidence),
            directory: cut(directory, &self.directory),
        })
    }
}

fn further(held: &mut Option<Shown>, at: (ShardNo, u64), note: &SignedNote) {
    if held.as_ref().is_none_or(|held| held.at < at) {
        *held = Some(Shown { at, note: note.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        key::SigningKey,
        log::checkpoint::{Checkpoint, Origin},
    };

    fn agency(name: &str) -> AgencyId {
        AgencyId::parse(name, "agency").unwrap()
    }

    #[test]
    fn it_goes_on_when_every_witness_has_reported_and_none_holds_more() {
        use Seen::{Beyond, Other, Part};
        let (one, two) = (agency("ae.one"), agency("ae.two"));
        let witnesses = BTreeSet::from([one.clone(), two.clone()]);
        let report = |evidence, directory| Report { evidence, directory };
        let whole = report(Some(Part), Some(Part));
        let (waits, goes_on, behind) = (Verdict::Waits, Verdict::GoesOn, Verdict::Behind);
        type Row<'a> = (&'a str, Vec<(&'a AgencyId, Report)>, Verdict);
        let table: [Row<'_>; 7] = [
            ("nobody", vec![], waits(vec![one.clone(), two.clone()])),
            ("one of two", vec![(&one, whole)], waits(vec![two.clone()])),
            ("of one log", vec![(&one, whole), (&two, report(Some(Part), None))], waits(vec![two.clone()])),
            ("all", vec![(&one, whole), (&two, whole)], goes_on(2)),
            ("more evidence", vec![(&one, report(Some(Beyond(9)), None))], behind(vec![one.clone()])),
            (
                "more of the directory",
                vec![(&one, whole), (&two, report(Some(Part), Some(Beyond(3))))],
                behind(vec![two.clone()]),
            ),
            ("another tree", vec![(&two, report(Some(Other(2)), Some(Part)))], behind(vec![two.clone()])),
        ];
        for (name, reports, verdict) in table {
            let reports = reports.into_iter().map(|(agency, report)| (agency.clone(), report)).collect();
            assert_eq!(judge(&witnesses, &reports), verdict, "{name}");
        }
        assert_eq!(judge(&BTreeSet::new(), &BTreeMap::new()), Verdict::GoesOn(0), "there is nobody to ask");
    }

    #[test]
    fn administrators_stand_in_for_the_silent_only_and_name_what_is_there() {
        let there = Sizes { evidence: 9, directory: 4 };
        let silent = Verdict::Waits(vec![agency("ae.one")]);
        assert!(may_override(&silent, there, there));
        assert!(!may_override(&silent, there, Sizes { evidence: 8, directory: 4 }));
        assert!(!may_override(&silent, there, Sizes { evidence: 9, directory: 5 }));
        assert!(!may_override(&Verdict::Behind(vec![agency("ae.one")]), there, there));
    }

    #[test]
    fn a_shard_names_the_furthest_that_was_shown_and_a_number_above_every_one_seen() {
        let origin = Origin::parse("referral.example/log").unwrap();
        let note = |shard: ShardNo, size: u64| {
            let origin = origin.shard(shard).unwrap();
            let root = Digest([size.to_le_bytes()[0]; 32]);
            Checkpoint { origin, size, root }.sign(&SigningKey::from_seed(&[1; 32]))
        };
        let (first, second) = (ShardNo::FIRST, ShardNo::parse(2).unwrap());
        let there = ((9, Digest([9; 32])), (4, Digest([4; 32])));
        let mut furthest = Furthest::default();
        let nobody = furthest.proposed(first, there.0, there.1).unwrap();
        assert_eq!((nobody.number, nobody.evidence.witnessed), (second, None), "nobody holds more");
        for size in [7, 12, 11] {
            furthest.evidence((first, size), &note(first, size));
        }
        furthest.directory((first, 4), &note(first, 4));
        let proposed = furthest.proposed(first, there.0, there.1).unwrap();
        assert_eq!(proposed.evidence.witnessed, Some(note(first, 12)));
        assert_eq!((proposed.number, &proposed.directory.witnessed), (second, &None));
        // From before a shard that somebody has seen.
        furthest.evidence((second, 10), &note(second, 10));
        let later = furthest.proposed(first, there.0, there.1).unwrap();
        assert_eq!((later.number.get(), later.evidence.witnessed.clone()), (3, Some(note(second, 10))));
        let reports =
            |seen| BTreeMap::from([(agency("ae.one"), Report { evidence: Some(seen), directory: None })]);
        assert!(may_begin(&reports(Seen::Beyond(10)), &later, &later));
        assert!(!may_begin(&reports(Seen::Beyond(10)), &later, &proposed), "more was shown since");
        assert!(!may_begin(&reports(Seen::Other(3)), &later, &later), "of another tree");
    }
}
