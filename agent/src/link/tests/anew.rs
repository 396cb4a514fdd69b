//! What the gateway refused because the directory had changed is sealed anew, by itself, so often and no
//! more; and what cannot be is left to a person.

use proto::{header::Header, ids::ReferralKey};

use super::*;
use crate::{anew::ANEW_MAX, office::outbound::anew};

/// An office that seals anew by itself, and its link.
async fn working(played: &Played) -> (Arc<Office>, [tokio::task::AbortHandle; 2]) {
    let office = played.office(DFWAC);
    followed(&office, played).await;
    let sealing = tokio::spawn(anew::run(Arc::clone(&office))).abort_handle();
    let link = linked(&office, played).abort_handle();
    (office, [sealing, link])
}

fn header(envelope: &[u8]) -> Header {
    let envelope = wire::Envelope::decode(envelope).unwrap();
    Header::parse(&envelope.signed.unwrap().payload).unwrap()
}

fn contents(office: &Office, referral: &ReferralKey) -> Vec<(Digest, Vec<u8>)> {
    let case = office.case(referral).unwrap();
    let parts = office.parts(&case).unwrap().into_iter();
    parts.map(|part| (part.envelope, part.content.unwrap().content)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_refused_and_what_follows_it_go_anew_in_their_order() {
    for refusal in [
        Refusal::SealingKeyNotInForce,
        Refusal::AgreementSuperseded,
        Refusal::MechanismChanged,
        Refusal::RecipientFull,
    ] {
        let played = Played::new();
        let office = played.office(DFWAC);
        followed(&office, &played).await;
        let first = office.send(referral()).await.unwrap();
        let second = office.act(note(&first)).await.unwrap();
        played.reply([Reply::Refuse(refusal)]);
        let link = linked(&office, &played);
        until(&office, |state| standing(state, &second.digest) == Some(Standing::Withdrawn)).await;
        let sealing = tokio::spawn(anew::run(Arc::clone(&office)));
        let instead = |state: &State, digest: &Digest| state.anew().instead_of(digest).copied();
        until(&office, |state| instead(state, &second.digest).is_some_and(|anew| is_taken(state, &anew)))
            .await;
        sealing.abort();
        link.abort();
        let pushed: Vec<Header> = played.pushed().iter().map(|envelope| header(envelope)).collect();
        let [refused, anew, note] = pushed.as_slice() else { panic!("{} were pushed", pushed.len()) };
        assert_eq!((&anew.referral, anew.sequence, anew.previous), (&refused.referral, 1, None));
        assert_eq!((anew.attempt, anew.expires_at), (refused.attempt, refused.expires_at));
        assert_eq!(anew.envelope_id, refused.envelope_id, "what opens a referral has its id");
        assert_eq!((note.act, note.sequence), (Act::Note, 2));
        // Word for word the same.
        let all = contents(&office, &first.referral);
        let of = |digest: &Digest| -> Vec<&[u8]> {
            let parts = all.iter().filter(|(envelope, _)| envelope == digest);
            parts.map(|(_, content)| content.as_slice()).collect()
        };
        for before in [first.digest, second.digest] {
            let anew = office.store.read(|state| instead(state, &before)).unwrap();
            assert!(!of(&before).is_empty());
            assert_eq!(of(&before), of(&anew));
        }
        assert!(office.store.read(|state| state.anew().waiting().next().is_none()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_sealed_anew_so_often_and_no_more() {
    let played = Played::new();
    let refusals = usize::try_from(ANEW_MAX).unwrap() + 1;
    played.reply(vec![Reply::Refuse(Refusal::SealingKeyNotInForce); refusals]);
    let (office, tasks) = working(&played).await;
    let sent = office.send(referral()).await.unwrap();
    let given_up = |state: &State| {
        let case = state.case_of(&sent.digest).unwrap();
        let refused = |step: &crate::case::Step| matches!(step.standing, Standing::Refused { .. });
        case.steps.len() == refusals && case.steps.iter().all(refused)
    };
    until(&office, given_up).await;
    assert!(office.store.read(|state| state.anew().waiting().next().is_none()), "a person looks now");
    assert_eq!(played.pushed().len(), refusals);
    tasks.iter().for_each(tokio::task::AbortHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_file_it_is_left_to_a_person() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let mut request = referral();
    for file in &mut request.files {
        // Too large for an envelope.
        file.content = vec![7; 2 * 1024 * 1024].into();
    }
    let sent = office.send(request).await.unwrap();
    let refusal = played.refusal(Refusal::SealingKeyNotInForce);
    office.answered(&sent.digest, Some(wire::push_answer::Answer::Refusal(refusal))).await.unwrap();
    assert!(office.store.read(|state| state.anew().waits(&sent.digest)));
    let sealing = tokio::spawn(anew::run(Arc::clone(&office)));
    until(&office, |state| !state.anew().waits(&sent.digest)).await;
    sealing.abort();
    assert_eq!(office.case(&sent.referral).unwrap().steps.len(), 1, "nothing goes without it");
}
