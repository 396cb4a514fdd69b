//! Revocation lists: without one that is in force nobody is served, and the gateway keeps its own so.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use certs::{GatewayNames, Lifetime};
use rustls_pki_types::CertificateDer;
use trials::{
    network::Network,
    peer::{self, Bearer},
    sandbox::{Sandbox, program},
    speak::{is_ready, metric, until},
};

use super::certificates::unix_now;

const UNTIL: &str = "referral_gateway_crls_until_seconds";

fn crls(sandbox: &Sandbox) -> PathBuf {
    sandbox.place().tls().crls
}

/// What the gateway says when it does not start.
fn refusal_to_start(sandbox: &Sandbox) -> String {
    let output = Command::new(program("gateway"))
        .args(["serve", "--config"])
        .arg(sandbox.folder.join("gateway.toml"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success(), "it started and ended well");
    String::from_utf8(output.stderr).unwrap()
}

/// Moves the authority away, as where it is kept on another machine.
fn without_authority(sandbox: &Sandbox) {
    fs::rename(sandbox.place().authority(), sandbox.folder.join("elsewhere")).unwrap();
    sandbox.close_enrolment();
}

#[test]
fn without_a_list_in_force_the_gateway_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    // In force for ten seconds, some time ago.
    let short = Lifetime::from_seconds(10);
    let mut authority = sandbox.authority().with_crl_validity(short).unwrap();
    let before = unix_now().minus(Lifetime::from_seconds(100));
    authority.sign_crls(before).unwrap();
    let over = authority.trust(before).unwrap().crls_pem();
    without_authority(&sandbox);
    let good = fs::read(crls(&sandbox)).unwrap();
    let table: [(&str, Option<&[u8]>, &str); 4] = [
        ("over", Some(over.as_bytes()), "holds a CRL that has run out; sign it again with `certs crl`"),
        ("empty", Some(b""), "holds no CRL; make one with `certs crl`"),
        (
            "no list",
            Some(b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"),
            "does not hold CRLs in PEM",
        ),
        ("missing", None, "cannot be read"),
    ];
    for (name, content, expected) in table {
        match content {
            Some(content) => fs::write(crls(&sandbox), content).unwrap(),
            None => fs::remove_file(crls(&sandbox)).unwrap(),
        }
        let said = refusal_to_start(&sandbox);
        assert!(said.contains("crls.pem") && said.contains(expected), "{name}: {said}");
    }
    fs::write(crls(&sandbox), good).unwrap();
    sandbox.start();
    assert!(sandbox.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_there_while_it_runs_is_taken_up_and_what_cannot_be_used_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    let mut authority = sandbox.authority();
    without_authority(&sandbox);
    // From here on the authority is opened where it was moved to.
    drop(authority);
    authority = certs::Authority::open(&sandbox.folder.join("elsewhere")).unwrap();
    sandbox.start();
    let bearer = || Bearer::read(&sandbox.folder.join("ae.dfwac"));
    let seen = async || {
        let mut stream = peer::connect(sandbox.address, bearer().config(&sandbox)).await.unwrap();
        let served = peer::is_served(&mut stream).await;
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        (served, CertificateDer::from(chain[0].to_vec()))
    };
    let (served, first) = seen().await;
    assert!(served);
    // Lists that cannot be used change nothing but the log and a counter.
    let good = fs::read(crls(&sandbox)).unwrap();
    fs::write(crls(&sandbox), b"").unwrap();
    const FAULTS: &str = "referral_gateway_tls_faults_total";
    until("the fault is counted", || (metric(sandbox.metrics, FAULTS) >= 1.0).then_some(())).await;
    assert!(sandbox.log_text().contains("changed TLS files cannot be used: the ones before stay"));
    assert!(seen().await.0, "the lists before are in force still");
    fs::write(crls(&sandbox), good).unwrap();
    until("the lists are taken up", || sandbox.log_text().contains("TLS files taken up").then_some(())).await;
    // The gateway's own certificate.
    let renewed = authority.issue_gateway_with_key(&GatewayNames::loopback(), unix_now()).unwrap();
    renewed.replace(&sandbox.place().tls_folder()).unwrap();
    let taken_up = || (sandbox.log_text().matches("TLS files taken up").count() >= 2).then_some(());
    until("the certificate is taken up", taken_up).await;
    let (served, second) = seen().await;
    assert!(served && first != second);
    assert_eq!(second, renewed.chain()[0]);
    assert!(is_ready(sandbox.metrics));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_signs_its_lists_again_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let left_s = || metric(sandbox.metrics, UNTIL) - f64::from(u32::try_from(unix_now().seconds()).unwrap());
    let day_s = 24.0 * 60.0 * 60.0;
    assert!(left_s() > day_s);
    // A list that ends before the next turn but one, as if the gateway had slept.
    let mut authority = sandbox.authority().with_crl_validity(Lifetime::from_seconds(100)).unwrap();
    authority.sign_crls(unix_now()).unwrap();
    authority.trust(unix_now()).unwrap().save(&sandbox.place().tls_folder()).unwrap();
    let short = fs::read(crls(&sandbox)).unwrap();
    let signed_again = || fs::read(crls(&sandbox)).unwrap() != short && left_s() > day_s;
    until("the gateway signs a longer one", || signed_again().then_some(())).await;
    let bearer = Bearer::read(&sandbox.folder.join("ae.dfwac"));
    let mut stream = peer::connect(sandbox.address, bearer.config(&sandbox)).await.unwrap();
    assert!(peer::is_served(&mut stream).await);
    assert!(is_ready(sandbox.metrics));
}
