//! What everybody's own chain of records has come to, committed once a day.

use proto::{
    caller::Caller,
    command::{Command, Tick},
    evidence::{Event, Record},
    fact::Fact,
    heads,
    lifecycle::Act,
    snapshot::Snapshot,
};

use crate::network::*;

/// Does all that is due; gives the commitment, if there is one among it.
fn tick(net: &mut Network) -> Option<Record> {
    let mut committed = Vec::new();
    loop {
        let answer = net.run(&Caller::Gateway, Command::Tick(Tick::default()));
        if answer.facts.is_empty() {
            assert!(committed.len() < 2, "once");
            return committed.pop();
        }
        let records = answer.facts.iter().filter_map(Fact::record);
        committed.extend(records.filter(|record| record.what.event == Event::HeadsCommitted).cloned());
    }
}

fn midnight(now: u64) -> u64 {
    (now / DAY + 1) * DAY
}

#[test]
fn heads_are_committed_once_a_day_when_there_is_a_new_one() {
    let mut net = Network::new();
    // Nothing is left that a clock could say.
    let opening = net.opens(DFWAC, AMAN);
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Decline);
    net.fetches_all(DFWAC);
    net.now = midnight(T0) - 1;
    assert_eq!(tick(&mut net), None, "the millisecond before");
    net.now += 1;
    let record = tick(&mut net).unwrap();
    assert_eq!((record.what.event, record.what.parties.len()), (Event::HeadsCommitted, 0));
    let committed = net.writer.state.committed_heads().unwrap().clone();
    assert_eq!(usize::try_from(record.what.count), Ok(committed.heads.len()));
    assert_eq!(
        record.what.object,
        Some(heads::root(committed.heads.iter().map(|(name, head)| (name, head))))
    );
    for name in [DFWAC, AMAN] {
        let proof = committed.proof(&agency(name)).unwrap();
        assert_eq!(Some(&proof.head), net.writer.state.head(&agency(name)));
        assert_eq!(proof.verify(&agency(name), record.what.count, record.what.object.unwrap()), Ok(()));
    }
    assert_eq!(tick(&mut net), None, "once");
    net.now = midnight(net.now) + HOUR;
    assert_eq!(tick(&mut net), None, "nobody has a new record");
    net.opens(DFWAC, AMAN);
    let next = tick(&mut net).unwrap();
    assert_ne!(next.what.object, record.what.object);
    assert_eq!(tick(&mut net), None, "once on that day, too");
    net.writer.check();
}

#[test]
fn a_snapshot_keeps_what_was_committed() {
    let mut net = Network::new();
    net.opens(DFWAC, AMAN);
    net.now = midnight(T0);
    tick(&mut net).unwrap();
    let state = net.writer.state.clone();
    let bytes = Snapshot::encoding_of(&state, 1, None, None).flatten().collect::<Vec<_>>();
    assert_eq!(Snapshot::parse(&bytes).unwrap().state.committed_heads(), state.committed_heads());
    assert!(state.committed_heads().is_some());
}
