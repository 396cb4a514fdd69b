//! A whole network of real programs under random kills: gateway and agents die at any moment, and what
//! an agent said it has written down arrives, once. Not here: the writer's own kills (`kill`).

use std::collections::BTreeSet;

use trials::{
    demo::{Programs, Stage, found},
    random::Random,
    sandbox::program,
};

/// How many programs are killed.
const KILLS: usize = 50;
const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";

#[test]
fn fifty_kills_of_gateway_and_agents_lose_nothing_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let programs = Programs::at(program("gateway"), program("agent"));
    let mut stage = Stage::open(programs, Some(folder.path().join("stage"))).unwrap();
    found(&mut stage).unwrap();
    let case = Stage::prop("case.json");
    let case = case.to_string_lossy();
    // The agent learns of the agreement within seconds.
    while stage.agent(FROM, &["send", &case]).is_err() {
        std::thread::yield_now();
    }
    let mut random = Random::new(50);
    let mut sent = BTreeSet::new();
    for _ in 0..KILLS {
        for _ in 0..=random.below(2) {
            let said = stage.agent(FROM, &["send", &case]).unwrap();
            sent.insert(said["referral"].as_str().unwrap().to_owned());
        }
        match random.below(3) {
            0 => {
                stage.kill_gateway().unwrap();
                stage.start_gateway().unwrap();
            }
            1 => stage.restart_agent(FROM).unwrap(),
            _ => stage.restart_agent(TO).unwrap(),
        }
    }
    let arrived = |stage: &Stage| -> Vec<String> {
        let inbox = stage.agent(TO, &["inbox", "--all"]).unwrap();
        inbox.as_array().unwrap().iter().map(|case| case["referral"].as_str().unwrap().to_owned()).collect()
    };
    let begun = std::time::Instant::now();
    while !sent.is_subset(&arrived(&stage).into_iter().collect()) {
        assert!(
            begun.elapsed().as_secs() < 120,
            "lost: {:?}",
            sent.difference(&arrived(&stage).into_iter().collect())
        );
        std::thread::yield_now();
    }
    let all = arrived(&stage);
    let once: BTreeSet<_> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "once");
    // Every receipt that an agent holds is proven, and the gateway's folder is right to the first byte.
    let some = sent.first().unwrap();
    let receipts = folder.path().join("receipts");
    stage.agent(FROM, &["receipt", some, "--out", &receipts.to_string_lossy()]).unwrap();
    for file in std::fs::read_dir(&receipts).unwrap() {
        stage.agent(FROM, &["verify", &file.unwrap().path().to_string_lossy()]).unwrap();
    }
    let hub = stage.path("hub").to_string_lossy().into_owned();
    stage.end().unwrap();
    assert_eq!(stage.gateway(&["verify", &hub]).unwrap()["right"], true);
}
