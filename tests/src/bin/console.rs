//! A gateway with a console and something to see in it: `console FOLDER`. It says where the console is, and
//! serves until its standard input ends. Not here: what is looked at (tests/interop/console).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program of the trials: what cannot go on has failed"
)]

use std::{fs, io::Read as _, path::PathBuf};

use certs::Role;
use gateway::service::stubs::{directory_client::DirectoryClient, push_client::PushClient};
use proto::{
    header::Header,
    ids::Urgency,
    lifecycle::Act,
    wire::{self, deliver_request::Request as Said, directory_change::Change},
};
use trials::{
    network::{ActOf, Agency, Network},
    random::Random,
    sandbox::Sandbox,
    speak::{Deliveries, digest_of, envelope, handover, now, receipt_of},
};

/// The roles, each with somebody of it.
const STAFF: [(Role, &str); 3] =
    [(Role::Operator, "operator-1"), (Role::Auditor, "auditor-1"), (Role::Administrator, "administrator-1")];
/// How far each referral comes: handed over or not, and what its recipient does then.
const REFERRALS: [(usize, Urgency, bool, &[Act]); 6] = [
    (0, Urgency::Emergency, false, &[]),
    (4, Urgency::Emergency, false, &[]),
    (2, Urgency::Urgent, true, &[]),
    (2, Urgency::Normal, true, &[Act::See]),
    (3, Urgency::Urgent, true, &[Act::See, Act::Waitlist]),
    (3, Urgency::Normal, true, &[Act::See, Act::Accept, Act::Start]),
];

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).unwrap());
    fs::create_dir_all(&folder).unwrap();
    let mut sandbox = Sandbox::make_with(&folder, Network::new(), 2, 4);
    let address = sandbox.open_console();
    for (role, name) in STAFF {
        sandbox.staff(role, name);
    }
    sandbox.start();
    let mut scene = Scene { network: sandbox.network.clone(), sandbox, random: Random::new(31) };
    for place in [0, 2, 3] {
        scene.gives_its_phone(place).await;
    }
    // Connected, and silent.
    let idle = scene.network.at(2).id.to_string();
    let held = scene.sandbox.connect(&idle).await.unwrap();
    let mut last = None;
    for (to, urgency, fetched, acts) in REFERRALS {
        last = Some(scene.refers(to, urgency, fetched, acts).await);
    }
    let key = last.unwrap().referral;
    println!("{address} {} {}", key.opened_by, key.id);
    let wait = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    drop(wait.await);
    drop(held);
    assert!(scene.sandbox.terminate());
}

struct Scene {
    network: Network,
    sandbox: Sandbox,
    random: Random,
}

impl Scene {
    async fn gives_its_phone(&mut self, place: usize) {
        let agency = self.network.at(place).clone();
        let profile = wire::AgencyProfile {
            agency: agency.id.to_string(),
            duty_phone: format!("+9714000000{place}"),
            ..wire::AgencyProfile::default()
        };
        let change = self.network.change(Change::Profile(profile), now(), &[&agency.key]);
        let channel = self.sandbox.connect(agency.id.as_str()).await.unwrap();
        DirectoryClient::new(channel).change(change).await.unwrap();
    }

    async fn refers(&mut self, to: usize, urgency: Urgency, fetched: bool, acts: &[Act]) -> Header {
        let (from, to) = (self.network.at(1).clone(), self.network.at(to).clone());
        let (mut header, parts) = self.network.opening(&from.id, &to.id, now(), &mut self.random);
        header.urgency = urgency;
        let mut push = PushClient::new(self.sandbox.connect(from.id.as_str()).await.unwrap());
        receipt_of(push.push_one(envelope(&from, &header, &parts)).await.unwrap().into_inner());
        if fetched {
            let mut stream = Deliveries::open(&self.sandbox.connect(to.id.as_str()).await.unwrap(), 1).await;
            let delivered = stream.delivered().await;
            stream.say(Said::Receipt(handover(&to, &[delivered]))).await;
            stream.acknowledged().await;
        }
        self.answers(&header, (&from, &to), acts).await;
        header
    }

    async fn answers(&mut self, header: &Header, (from, to): (&Agency, &Agency), acts: &[Act]) {
        let mut push = PushClient::new(self.sandbox.connect(to.id.as_str()).await.unwrap());
        let mut previous = None;
        for act in acts {
            let of = ActOf { referral: &header.referral, attempt: 1, from: &to.id, to: &from.id, previous };
            let (mut said, detail) = self.network.act(&of, *act, now(), &mut self.random);
            said.urgency = header.urgency;
            let envelope = envelope(to, &said, &detail);
            previous = Some((said.sequence, digest_of(&envelope)));
            receipt_of(push.push_one(envelope).await.unwrap().into_inner());
        }
    }
}
