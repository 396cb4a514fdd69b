//! A year's statistics out of a real journal: told when the year is settled and not before, opened by a
//! spreadsheet with their Arabic whole, and with nothing in them of fewer than eleven. Not here: what follows
//! from what by subtraction (`proto::statistics`).
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use gateway::{
    statistics,
    writer::{Request, answer::Answer},
};
use proto::{
    calendar,
    header::Header,
    ids::{Code, TimeMs},
    lifecycle::Act,
    statistics::{Figure, SETTLED_MS, Topic, Year},
};
use trials::{
    network::{ActOf, BEGINNING, Network},
    random::Random,
    sandbox::{Sandbox, program},
};

/// So many referrals, of which so many are about something else; and of which so many are accepted.
fn referrals(network: &Network, count: usize, other: usize, accepted: usize) -> Vec<Request> {
    let mut random = Random::new(41);
    let (from, to) = (network.at(1), network.at(0));
    let mut requests = Vec::new();
    for number in 0..count {
        let (mut header, parts): (Header, _) = network.opening(&from.id, &to.id, BEGINNING, &mut random);
        if number < other {
            header.category = Code::parse("domestic_violence", "category").unwrap();
        }
        requests.push(network.push(&header, parts));
        if number < accepted {
            let of =
                ActOf { referral: &header.referral, attempt: 1, from: &to.id, to: &from.id, previous: None };
            let (mut said, detail) = network.act(&of, Act::Accept, BEGINNING, &mut random);
            (said.urgency, said.category) = (header.urgency, header.category.clone());
            requests.push(network.push(&said, detail));
        }
    }
    requests
}

fn figures(year: &Year, topic: Topic) -> BTreeMap<&'static str, Figure> {
    let table = year.table(topic);
    table.labels.iter().map(|label| label.code).zip(table.shown.rows).collect()
}

fn run(folder: &Path, year: &str, csv: &Path) -> (bool, String) {
    let mut command = Command::new(program("gateway"));
    let output =
        command.arg("statistics").arg(folder).args(["--year", year, "--csv"]).arg(csv).output().unwrap();
    (output.status.success(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn a_year_is_told_when_it_is_settled_and_nothing_of_few_is() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::make(folder.path(), Network::new());
    for answer in sandbox.long_ago(referrals(&sandbox.network, 60, 14, 35)) {
        assert!(matches!(answer, Answer::Taken { .. }));
    }
    let settled = calendar::year_begins(2027).plus_ms(SETTLED_MS);
    let year = statistics::read(&sandbox.place(), Year::new(2026, settled).unwrap()).unwrap();
    assert_eq!(year.referrals(), 60);
    let categories = figures(&year, Topic::Category);
    assert_eq!(categories["trafficking"], Figure::Count(45), "46, rounded");
    assert_eq!(categories["domestic_violence"], Figure::Count(15));
    assert_eq!(categories["child_protection"], Figure::Count(0));
    assert_eq!(figures(&year, Topic::Service)["shelter"], Figure::Count(60));
    let answers = figures(&year, Topic::Answer);
    assert_eq!(
        (answers["within_24_hours"], answers["no_answer_due"]),
        (Figure::Count(35), Figure::Count(25))
    );
    assert_eq!(figures(&year, Topic::Outcome)["going_on"], Figure::Count(35));

    let csv = folder.path().join("figures");
    let files = statistics::write(&year, Some(1), &csv).unwrap();
    assert_eq!(files.len(), 1 + Topic::ALL.len());
    let january = fs::read_to_string(csv.join("category-2026-01.csv")).unwrap();
    assert!(january.starts_with('\u{feff}') && january.contains("\"total\",\"All\",\"المجموع\",\"60\"\r\n"));
    statistics::write(&year, None, &csv).unwrap();
    let whole = fs::read_to_string(csv.join("outcome-2026.csv")).unwrap();
    assert!(whole.contains("\"قُبلت وما زالت جارية\",\"35\",\"35\",\"0\""), "{whole}");
    let all: Vec<_> =
        fs::read_dir(&csv).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    let names = sandbox.network.agencies.iter().map(|agency| agency.id.to_string());
    for agency in names {
        assert!(all.iter().all(|text| !text.contains(&agency)), "no agency is named");
    }

    // The program says from when on a year can be told, and tells one in which nothing happened.
    let later = folder.path().join("later");
    let this_year = calendar::month_of(now()).0;
    let (well, said) = run(folder.path(), &this_year.to_string(), &later);
    assert!(!well && said.contains("STATISTICS_TOO_EARLY") && said.contains("لا تُعلن"), "{said}");
    assert!(!later.exists());
    let (well, said) = run(folder.path(), "2020", &later);
    assert!(well, "{said}");
    let nothing = fs::read_to_string(later.join("category-2020.csv")).unwrap();
    assert!(nothing.contains("\"total\",\"All\",\"المجموع\",\"0\",\"0\""), "{nothing}");
}

#[test]
fn few_referrals_are_not_told_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::make(folder.path(), Network::new());
    drop(sandbox.long_ago(referrals(&sandbox.network, 10, 3, 2)));
    let settled = calendar::year_begins(2027).plus_ms(SETTLED_MS);
    let year = statistics::read(&sandbox.place(), Year::new(2026, settled).unwrap()).unwrap();
    assert_eq!(year.referrals(), 10);
    for topic in Topic::ALL {
        let table = year.table(*topic);
        assert_eq!(table.shown.total, Figure::Hidden);
        assert!(table.shown.rows.iter().all(|figure| *figure == Figure::Hidden));
    }
}

fn now() -> TimeMs {
    gateway::clock::now()
}
