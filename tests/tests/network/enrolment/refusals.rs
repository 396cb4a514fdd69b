//! What may not be used says why to whoever holds it, and nothing to anybody else.

use certs::{Reason, Which};
use proto::{
    directory::KeyPurpose,
    invitation::Invitation,
    refusal::Refusal,
    wire::{self, directory_change::Change},
};
use tonic::{Code, Status};
use trials::{
    network::agency,
    sandbox::Sandbox,
    speak::{failure, metric, now, refusal_in, until},
};

use super::given::*;

fn code(status: &Status) -> String {
    refusal_in(status).code
}

async fn refused(sandbox: &Sandbox, request: wire::EnrolRequest) -> String {
    code(&failure(enrol(sandbox, request).await))
}

fn revoking(invitation: &Invitation) -> Change {
    Change::RevokeInvitation(wire::RevokeInvitation { key_id: invitation.invite.id().to_string() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_given_again_and_nobody_elses_request_is() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let invitation = invitation(&sandbox, "secret", HOUR_MS);
    let guest = Guest::new("guest");
    let request = guest.request(&invitation);
    // Two have not signed yet.
    assert_eq!(refused(&sandbox, request.clone()).await, "NOT_INVITED");
    invited(&sandbox, &invitation).await;
    let first = enrol(&sandbox, request.clone()).await.unwrap();
    let chain = certs::Certificate::read_chain(first.certificate_chain.as_bytes()).unwrap();
    assert_eq!(chain[0].uris, [format!("spiffe://{}/agency/{NEW}/main", trials::network::NETWORK)]);
    assert_eq!(chain[0].key_digest, guest.tls.request().unwrap().key_digest());
    assert_eq!(first.evidence_vkey, sandbox.network_file().evidence_log);
    // The answer is lost: the same again.
    let again = enrol(&sandbox, request.clone()).await.unwrap();
    let again = certs::Certificate::read_chain(again.certificate_chain.as_bytes()).unwrap();
    assert_eq!((&again[0].uris, again[0].key_digest), (&chain[0].uris, chain[0].key_digest));
    // Everybody reads the change in the log. With another TLS key, or another name, it is of no use.
    let thief = Guest::new("thief");
    let certificate_request = thief.tls.request().unwrap().der().to_vec();
    let stolen = wire::EnrolRequest { certificate_request, ..request.clone() };
    assert_eq!(refused(&sandbox, stolen).await, "MALFORMED");
    let renamed = wire::EnrolRequest { node: "spare".into(), ..request.clone() };
    assert_eq!(refused(&sandbox, renamed).await, "INVITATION_USED");
    // Who found the invitation later has nothing of it.
    assert_eq!(refused(&sandbox, thief.request(&invitation)).await, "INVITATION_USED");
    assert!(metric(sandbox.metrics, "referral_gateway_enrolments_total") >= 2.0);
    assert!(metric(sandbox.metrics, "referral_gateway_enrolments_refused_total") >= 4.0);
    // What was revoked is not certified again.
    let mut authority = sandbox.authority();
    let unix = certs::UnixTime::of(std::time::SystemTime::now()).unwrap();
    authority.revoke(&Which::Agency(NEW.parse().unwrap()), Reason::Unspecified, unix).unwrap();
    assert_eq!(refused(&sandbox, request.clone()).await, "INVITATION_USED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stopped_since_gets_no_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let administrator = &sandbox.network.administrators[0];
    let invitation = invitation(&sandbox, "secret", HOUR_MS);
    invited(&sandbox, &invitation).await;
    let guest = Guest::new("guest");
    let request = guest.request(&invitation);
    enrol(&sandbox, request.clone()).await.unwrap();
    let subject = wire::Subject { subject: Some(wire::subject::Subject::Agency(NEW.into())) };
    let reason = wire::SuspensionReason::Security.into();
    let stop = Change::Suspend(wire::Suspend { subject: Some(subject.clone()), reason });
    changed(&sandbox, change(stop, &[administrator])).await;
    assert_eq!(refused(&sandbox, request.clone()).await, "SENDER_SUSPENDED");
    let start = Change::Resume(wire::Resume { subject: Some(subject) });
    changed(&sandbox, change(start, &[administrator, &sandbox.network.administrators[1]])).await;
    enrol(&sandbox, request.clone()).await.unwrap();
    let revoke = Change::RevokeKey(wire::RevokeKey {
        agency: NEW.into(),
        key_id: guest.signing.public().id().to_string(),
        reason: wire::RevocationReason::Stolen.into(),
    });
    changed(&sandbox, change(revoke, &[administrator])).await;
    assert_eq!(refused(&sandbox, request).await, "SIGNING_KEY_NOT_IN_FORCE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_by_time_or_by_an_administrator_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let short = invitation(&sandbox, "short", 1_500);
    invited(&sandbox, &short).await;
    until("its end", || (now() >= short.invite.expires_at).then_some(())).await;
    let guest = Guest::new("guest");
    assert_eq!(refused(&sandbox, guest.request(&short)).await, "INVITATION_EXPIRED");

    let withdrawn = invitation(&sandbox, "withdrawn", HOUR_MS);
    invited(&sandbox, &withdrawn).await;
    changed(&sandbox, change(revoking(&withdrawn), &[&sandbox.network.administrators[0]])).await;
    assert_eq!(refused(&sandbox, guest.request(&withdrawn)).await, "INVITATION_REVOKED");

    let older = invitation(&sandbox, "older", HOUR_MS);
    invited(&sandbox, &older).await;
    let newer = invitation(&sandbox, "newer", HOUR_MS);
    invited(&sandbox, &newer).await;
    assert_eq!(refused(&sandbox, guest.request(&older)).await, "INVITATION_REVOKED");
    // All of it again, from the journal.
    let mut sandbox = sandbox;
    assert!(sandbox.terminate());
    sandbox.start();
    assert_eq!(refused(&sandbox, guest.request(&withdrawn)).await, "INVITATION_REVOKED");
    enrol(&sandbox, guest.request(&newer)).await.unwrap();
    // A certificate is not issued on a repeat whose time is over.
    assert_eq!(refused(&sandbox, guest.request(&newer)).await, "INVITATION_USED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_proves_no_invitation_learns_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let real = invitation(&sandbox, "secret", HOUR_MS);
    invited(&sandbox, &real).await;
    let guest = Guest::new("guest");
    let guessed = invitation(&sandbox, "guessed", HOUR_MS);
    let another = invitation_of(&sandbox, ("zz.nobody", false), "secret", now().plus_ms(HOUR_MS));
    let known = trials::network::AGENCIES[0];
    let of_known = invitation_of(&sandbox, (known, true), "guessed", now().plus_ms(HOUR_MS));
    let unproven = guest.request_signed(&real, &[&guest.signing]);
    let before = directory_with(&sandbox, &real).await;
    let mut answers = Vec::new();
    for (case, request) in [
        ("a key that invites nobody", guest.request(&guessed)),
        ("an agency that there is not", guest.request(&another)),
        ("an agency that there is", guest.request(&of_known)),
        ("an invitation without its signature", unproven),
    ] {
        let status = failure(enrol(&sandbox, request).await);
        let answer = refusal_in(&status);
        assert_eq!((status.code(), answer.code.as_str()), (Code::PermissionDenied, "NOT_INVITED"), "{case}");
        // No evidence, no field: every one of them is answered with the same bytes.
        assert!(answer.receipt.is_none() && answer.field.is_empty(), "{case}");
        answers.push((status.message().to_owned(), status.details().to_vec()));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]));
    let after = directory(&sandbox).await;
    assert!(before.invitations().eq(after.invitations()) && before.agencies().eq(after.agencies()));
    // Nothing of it has reached the log of the program.
    let log = sandbox.log_text();
    assert!(!log.contains(NEW) && !log.contains(&real.invite.id().to_string()), "{log}");
    assert_eq!(
        enrol(&sandbox, guest.request(&real)).await.map(|_| ()).map_err(|status| code(&status)),
        Ok(())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_that_lost_its_keys_gets_its_certificate_at_once_and_its_key_after_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let known = trials::network::AGENCIES[0];
    let invitation = invitation_of(&sandbox, (known, true), "secret", now().plus_ms(HOUR_MS));
    invited(&sandbox, &invitation).await;
    // By the program: it says when the key is in force, and which keys must be revoked.
    let text = text_file(folder.path(), &invitation);
    let (exit, said, error) = agent(&folder.path().join("office"), &["enrol", &text]);
    assert_eq!(exit, 0, "{said} {error}");
    assert_eq!((said["enrolled"].as_bool(), said["in_force"].as_bool()), (Some(true), Some(false)));
    assert_eq!(said["older_keys"].as_array().unwrap().len(), 2, "signing and sealing: {said}");
    let directory = directory(&sandbox).await;
    let held = directory.agency(&agency(known)).unwrap();
    let newest = held.keys.last().unwrap();
    assert_eq!(said["in_force_at_ms"].as_u64(), Some(newest.effective_at.0));
    assert!(!directory.key_in_force(&agency(known), &newest.id, KeyPurpose::Signing, now()));
    let tomorrow = now().plus_ms(24 * HOUR_MS);
    assert!(directory.key_in_force(&agency(known), &newest.id, KeyPurpose::Signing, tomorrow));
    assert_eq!(Refusal::InvitationUsed.name(), refused(&sandbox, Guest::new("x").request(&invitation)).await);
}
