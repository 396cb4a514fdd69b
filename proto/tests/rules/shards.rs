//! A shard of both logs: who begins it, where, and what its first records say.

use proto::{
    digest::Digest,
    directory::replica::{Replica, Unlawful},
    evidence::Event,
    fact::Fact,
    log::{checkpoint::Checkpoint, merkle::Frontier, shard::ShardNo},
    refusal::Refusal,
    wire::{self, directory_change::Change},
};

use crate::{network::*, samples};

/// What begins a shard exactly where a network's logs end; an agency holds a little more evidence.
pub(crate) fn next(net: &Network, number: u32) -> wire::BeginShard {
    let state = &net.writer.state;
    let cut =
        |log: &Frontier, witnessed| wire::LogCut { size: log.size(), root: log.root().to_vec(), witnessed };
    let (evidence, directory) = (state.evidence().frontier(), state.directory_log().frontier());
    let beyond = Checkpoint { origin: samples::origin(), size: evidence.size() + 3, root: Digest([3; 32]) };
    wire::BeginShard {
        number,
        evidence: Some(cut(evidence, beyond.sign(&samples::log_key()).to_string())),
        directory: Some(cut(directory, String::new())),
    }
}

fn begins(net: &mut Network, begun: wire::BeginShard) -> crate::writer::Answer {
    net.change(&by("amal"), Change::BeginShard(begun), &["amal", "badr"])
}

#[test]
fn the_first_records_of_both_logs_name_both_checkpoints() {
    let mut net = Network::new();
    net.opens(DFWAC, AMAN);
    let (evidence, directory) = {
        let state = &net.writer.state;
        (state.evidence().frontier().clone(), state.directory_log().frontier().clone())
    };
    let begun = next(&net, 2);
    let answer = begins(&mut net, begun);
    assert_eq!(answer.events(), [Event::ShardBegun]);
    let record = answer.records().next().unwrap();
    let shard = record.what.shard.unwrap();
    assert_eq!(record.place.index, evidence.size(), "its first record");
    assert_eq!(shard.restored, (evidence.size(), evidence.root()));
    assert_eq!(shard.witnessed, (evidence.size() + 3, Digest([3; 32])));
    assert!(matches!(answer.facts.first(), Some(Fact::Directory(_))), "the change itself, with both");
    let state = &net.writer.state;
    let shards = (state.directory().evidence_shards(), state.directory().directory_shards());
    for (shards, log) in [(shards.0, &evidence), (shards.1, &directory)] {
        assert_eq!(shards.of_size(log.size()), ShardNo::FIRST);
        assert_eq!(shards.of_size(log.size() + 1).get(), 2);
    }
    // The rules go on as before.
    net.opens(DFWAC, AMAN);
    net.writer.restart();
    net.writer.check();
}

#[test]
fn it_begins_where_both_logs_end_and_with_a_higher_number() {
    type Spoil = fn(&mut wire::BeginShard);
    let spoils: [(&str, Spoil); 5] = [
        ("less evidence", |begun| begun.evidence.as_mut().unwrap().size -= 1),
        ("another tree", |begun| begun.evidence.as_mut().unwrap().root = vec![9; 32]),
        ("more of the directory", |begun| begun.directory.as_mut().unwrap().size += 1),
        ("another directory", |begun| begun.directory.as_mut().unwrap().root = vec![9; 32]),
        ("a number that was used", |begun| begun.number = 2),
    ];
    for (name, spoil) in spoils {
        let mut net = Network::new();
        let first = next(&net, 2);
        begins(&mut net, first).accepted();
        let mut begun = next(&net, 3);
        spoil(&mut begun);
        let refused = begins(&mut net, begun);
        assert_refused(&refused, Refusal::ShardNotNext, "number", true, name);
        let good = next(&net, 7);
        begins(&mut net, good).accepted();
        net.writer.check();
    }
}

#[test]
fn who_follows_the_directory_accepts_it_only_where_the_log_ends() {
    let mut net = Network::new();
    let begun = next(&net, 2);
    begins(&mut net, begun).accepted();
    let leaves = crate::replica::leaves(&net);
    let mut replica = Replica::default();
    let (last, before) = leaves.split_last().unwrap();
    for leaf in before {
        replica.take(leaf.clone()).unwrap();
    }
    let mut whole = replica.clone();
    whole.take(last.clone()).unwrap();
    assert_eq!(whole.directory().shards(), net.writer.state.directory().shards());
    // The same leaf in a log that has gone on, or is another one.
    net.change(&by(AMAN), crate::refusals::profile(AMAN, Vec::new()), &[AMAN]).accepted();
    let more = crate::replica::leaves(&net).pop().unwrap();
    replica.take(more).unwrap();
    let found = replica.take(last.clone());
    assert!(matches!(found, Err(Unlawful::OtherShard | Unlawful::TimeRunsBack)), "{found:?}");
}
