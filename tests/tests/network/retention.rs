//! Ciphertext goes when its time is over, by the gateway itself: with evidence, through kills, and nothing
//! else goes with it. Not here: when that is (`proto`), and a crash at each step of a rewrite (`journal`).
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{fs, process::Command};

use gateway::{service::stubs::evidence_client::EvidenceClient, writer::answer::Answer};
use proto::{evidence::Event, ids::ReferralKey, receipt::Receipt, retention::RETENTION_DAYS_DEFAULT, wire};
use tonic::transport::Channel;
use trials::{
    network::{BEGINNING, Network},
    random::Random,
    sandbox::{Sandbox, program},
    speak::{Pushes, envelope, now, receipt_of, until, waiting},
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Whether bytes stand anywhere in the journal's files.
fn holds(sandbox: &Sandbox, bytes: &[u8]) -> bool {
    let files = fs::read_dir(sandbox.place().journal()).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|one| one == "seg"))
        .any(|path| {
            // One that is rewritten just now may have gone.
            let content = fs::read(path).unwrap_or_default();
            content.windows(bytes.len()).any(|window| window == bytes)
        })
}

async fn timeline(sandbox: &Sandbox, channel: &Channel, referral: &ReferralKey) -> Vec<Receipt> {
    let request = wire::GetTimelineRequest { referral: Some(referral.to_wire()) };
    let mut bundles = EvidenceClient::new(channel.clone()).get_timeline(request).await.unwrap().into_inner();
    let mut receipts = Vec::new();
    while let Some(bundle) = bundles.message().await.unwrap() {
        let receipt = Receipt::parse(bundle.receipt.unwrap()).unwrap();
        receipt.verify(&sandbox.network.policy()).unwrap();
        receipts.push(receipt);
    }
    receipts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ciphertext_goes_at_its_time_with_evidence_and_through_kills() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    let network = sandbox.network.clone();
    let (from, to) = (network.at(1), network.at(0));
    let mut random = Random::new(11);
    let old: Vec<_> = (0..20).map(|_| network.opening(&from.id, &to.id, BEGINNING, &mut random)).collect();
    let requests = old.iter().map(|(header, parts)| network.push(header, parts.clone())).collect();
    let answers = sandbox.long_ago(requests);
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Taken { .. })));
    assert!(old.iter().all(|(_, parts)| parts.iter().all(|part| holds(&sandbox, part))));
    let over = old[0].0.expires_at.plus_ms(u64::from(RETENTION_DAYS_DEFAULT) * DAY_MS);
    assert!(over < now(), "by today its time is over");

    // Killed again and again while it erases.
    for _ in 0..4 {
        sandbox.start();
        sandbox.kill();
    }
    sandbox.start();
    let mine = sandbox.connect(from.id.as_str()).await.unwrap();
    let theirs = sandbox.connect(to.id.as_str()).await.unwrap();
    let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
    let sent = envelope(from, &header, &parts);
    let mut pushes = Pushes::open(&mine).await.unwrap();
    let fresh = receipt_of(pushes.push_until_decided(sent).await);
    until("everything old is erased", || {
        (!old.iter().any(|(_, parts)| parts.iter().any(|part| holds(&sandbox, part)))).then_some(())
    })
    .await;
    assert!(parts.iter().all(|part| holds(&sandbox, part)), "what is not over stays");

    // Evidence of each, once, whatever was killed; and every receipt still holds.
    for (old, _) in &old {
        let receipts = timeline(&sandbox, &theirs, &old.referral).await;
        let erased: Vec<_> = receipts
            .iter()
            .map(Receipt::record)
            .filter(|record| record.what.event == Event::Erased)
            .collect();
        assert_eq!(erased.len(), 1);
        let what = &erased[0].what;
        assert_eq!(what.due_at, old.expires_at.plus_ms(u64::from(RETENTION_DAYS_DEFAULT) * DAY_MS));
        assert!(erased[0].place.time >= what.due_at && what.part_digests.len() == old.parts.len());
        assert!(what.parties.contains(&from.id) && what.parties.contains(&to.id));
    }
    // The same again gets the same receipt, though its content is gone.
    let again = envelope(from, &old[0].0, &old[0].1);
    let receipt = receipt_of(pushes.push_until_decided(again).await);
    let Answer::Taken { receipts, .. } = &answers[0] else { panic!("it was taken") };
    assert_eq!(receipt.to_file(), receipts[0].to_file());
    // What is new is handed over whole, and nothing old any more.
    let waits = waiting(&theirs).await;
    assert_eq!(waits.len(), 1, "what nobody fetched has expired");
    let summary = waits[0].envelope.as_ref().unwrap().parts[0].ciphertext.clone();
    assert_eq!(summary, parts[0]);

    // After another kill the same stands, and the whole is right from the first byte.
    sandbox.kill();
    sandbox.start();
    let mine = sandbox.connect(from.id.as_str()).await.unwrap();
    let seen = timeline(&sandbox, &mine, &header.referral).await;
    assert_eq!(seen[0].to_file(), fresh.to_file());
    assert!(sandbox.terminate());
    let verified =
        Command::new(program("gateway")).args(["--json", "verify"]).arg(folder.path()).output().unwrap();
    let said = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success(), "{said}{}", String::from_utf8_lossy(&verified.stderr));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["ciphertexts"], parts.len());
}
