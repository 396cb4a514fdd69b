//! What a decision costs, of each sort, beside a large directory and beside a small one: median and 99th
//! percentile, in nanoseconds. Nothing is written while it is timed. One JSON line for each directory.
//! `decisions DIR [--agencies N] [--agreements N] [--rules N] [--count N]`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a trial's program: what cannot go on ends, and stdout is how it answers"
)]

use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::Instant,
};

use gateway::writer::{Request, answer::Answer};
use journal::{Config, SegmentBytes};
use proto::{
    decide::{Decision, decide},
    ids::{Addressing, Code},
    lifecycle::Act,
};
use serde_json::{Map, Value, json};
use trials::{
    arguments::Arguments,
    network::{ActOf, BEGINNING, Network},
    place::{Place, Real},
    random::Random,
};

/// Most requests of one batch while the network is founded.
const BATCH: usize = 256;
/// Fallbacks of an opening that names as many as it may.
const FALLBACKS: usize = 8;

fn main() {
    let arguments = Arguments::of_process(&[]);
    let root = PathBuf::from(&arguments.words[0]);
    let large = [("agencies", 1_000), ("agreements", 10_000), ("rules", 1_000)];
    let large = large.map(|(name, usual)| arguments.get(name, usual));
    let count = arguments.get("count", 20_000);
    for (number, [agencies, agreements, rules]) in [[10, 20, 10], large].into_iter().enumerate() {
        measure(&root.join(number.to_string()), [agencies, agreements, rules], count);
    }
}

fn measure(root: &Path, [agencies, agreements, rules]: [usize; 3], count: usize) {
    fs::create_dir_all(root).unwrap();
    let ids: Vec<_> = (0..agencies).map(|number| format!("xx.agency-{number:04}")).collect();
    let mut network = Network::of(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    let place = Place::new(root, None);
    place.create(SegmentBytes::DEFAULT).unwrap();
    let (mut writer, _) = place.open(Config::inline(), network.keys.clone()).unwrap();
    let mut founding = network.founding();
    founding.extend(network.bulk(agreements, u64::try_from(rules).unwrap()));
    while !founding.is_empty() {
        let rest = founding.split_off(founding.len().min(BATCH));
        taken(&mut writer, founding);
        founding = rest;
    }
    let mut asked = Asked { network: &network, rules, random: Random::new(1) };
    let mut row = Map::new();
    row.insert("agencies".to_owned(), agencies.into());
    row.insert("agreements".to_owned(), agreements.into());
    row.insert("rules".to_owned(), rules.into());
    for (name, requests) in asked.all(&mut writer, count) {
        row.insert(name.to_owned(), timed(&writer, &requests));
    }
    println!("{}", Value::Object(row));
}

fn taken(writer: &mut Real, requests: Vec<Request>) {
    let mut salts = Random::new(4);
    let answers = writer.step(BEGINNING, requests, &mut || salts.salt()).unwrap();
    for answer in answers {
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    }
}

fn timed(writer: &Real, requests: &[Request]) -> Value {
    let state = writer.state();
    let mut times: Vec<u128> = requests
        .iter()
        .map(|request| {
            let began = Instant::now();
            let decided = black_box(decide(state, &request.caller, &request.command));
            let took = began.elapsed().as_nanos();
            assert!(matches!(decided, Decision::Do(..)), "it is to be taken");
            took
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    json!({"p50_ns": at(50), "p99_ns": at(99)})
}

struct Asked<'a> {
    network: &'a Network,
    rules: usize,
    random: Random,
}

impl Asked<'_> {
    fn all(&mut self, writer: &mut Real, count: usize) -> [(&'static str, Vec<Request>); 5] {
        let by_name = (0..count).map(|number| self.opening(number, 0, false)).collect();
        let fallbacks = FALLBACKS.min(self.network.agencies.len() / 5);
        let with_fallbacks = (0..count).map(|number| self.opening(number, fallbacks, false)).collect();
        let by_need = (0..count).map(|number| self.opening(number, 0, true)).collect();
        let opened: Vec<Request> = (0..BATCH).map(|number| self.opening(number, 0, false)).collect();
        let mut acts = |act| -> Vec<Request> {
            let acts: Vec<_> = opened.iter().map(|request| self.act(request, act)).collect();
            acts.iter().cycle().take(count).cloned().collect()
        };
        let (see, accept) = (acts(Act::See), acts(Act::Accept));
        taken(writer, opened);
        [
            ("by_name", by_name),
            ("with_fallbacks", with_fallbacks),
            ("by_need", by_need),
            ("see", see),
            ("accept", accept),
        ]
    }

    fn opening(&mut self, number: usize, fallbacks: usize, by_need: bool) -> Request {
        let from = number % self.network.agencies.len();
        let network = self.network;
        let (one, other) = (&network.at(from).id, &network.at(from + 1).id);
        let (mut header, mut parts) = network.opening(one, other, BEGINNING, &mut self.random);
        header.agreement = network.agreement_of(from, (from + 1) % network.agencies.len());
        // Those that an agreement binds with the sender: the next ones.
        let others: Vec<_> = (0..fallbacks).map(|next| network.at(from + 2 + next).id.clone()).collect();
        network.name_fallbacks((&mut header, &mut parts), &others, &mut self.random);
        if by_need {
            let rule = (from + 1) % network.agencies.len() % self.rules;
            header.addressing = Addressing::ByNeed;
            header.mechanism = Some(network.mechanism_digest());
            header.rule = Some(Code::parse(&format!("rule-{rule}"), "rule").unwrap());
        }
        network.push(&header, parts)
    }

    fn act(&mut self, opened: &Request, act: Act) -> Request {
        let opening = opened.command.header().unwrap();
        let of = ActOf {
            referral: &opening.referral,
            attempt: 1,
            from: &opening.to,
            to: &opening.from,
            previous: None,
        };
        let (mut header, parts) = self.network.act(&of, act, BEGINNING, &mut self.random);
        header.agreement = opening.agreement;
        self.network.push(&header, parts)
    }
}
