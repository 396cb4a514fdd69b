//! Operations over real connections: what is stuck is seen with its cause and whom to call, in the shell and
//! in a browser; who may see what; and that nobody's name is on a page.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that does not get what it must has failed")]

use std::{fs, net::SocketAddr, path::Path, process::Command};

use bytes::Bytes;
use certs::{Fingerprint, Reason, Role, UnixTime, Which};
use gateway::service::stubs::{
    directory_client::DirectoryClient, operations_client::OperationsClient, push_client::PushClient,
};
use proto::{
    digest::Digest,
    header::Header,
    ids::Urgency,
    lifecycle::Act,
    refusal::Refusal,
    spoken::Spoken,
    wire::{self, directory_change::Change},
};
use serde_json::Value;
use trials::{
    network::{ActOf, Network},
    peer::{self, Bearer, Page, browse},
    random::Random,
    sandbox::{Sandbox, program},
    speak::{
        Deliveries, digest_of, envelope, envelope_of, failure, handover, now, receipt_of, refusal_in, until,
    },
};

const PHONE: &str = "+97140000000";
/// People who do not exist.
const PLANTED: [&str; 4] = ["Fatima Al-Mansoori", "فاطمة المنصوري", "784-1987-1234567-1", "passport-fatima"];

/// A running network with a console, staff of all three roles, and an emergency whose recipient is away.
struct Scene {
    sandbox: Sandbox,
    console: SocketAddr,
    header: Header,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut sandbox = Sandbox::make_with(folder.path(), Network::new(), 1, 3);
        let console = sandbox.open_console();
        for (role, name) in
            [(Role::Operator, "operator-1"), (Role::Auditor, "auditor-1"), (Role::Administrator, "boss-1")]
        {
            sandbox.staff(role, name);
        }
        sandbox.start();
        let mut network = sandbox.network.clone();
        let (from, to) = (network.at(1).clone(), network.at(0).clone());
        let profile =
            wire::AgencyProfile { agency: to.id.to_string(), duty_phone: PHONE.into(), ..Default::default() };
        let change = network.change(Change::Profile(profile), now(), &[&to.key]);
        let mut directory = DirectoryClient::new(sandbox.connect(to.id.as_str()).await.unwrap());
        let answer = directory.change(change).await.unwrap().into_inner();
        assert!(matches!(answer.answer, Some(wire::change_answer::Answer::Receipt(_))));
        drop(directory);
        let mut random = Random::new(21);
        let (mut header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
        header.urgency = Urgency::Emergency;
        let parts: Vec<_> = parts.iter().map(|part| planted(part.len())).collect();
        for (part, bytes) in header.parts.iter_mut().zip(&parts) {
            part.sha256 = Digest::of(bytes);
        }
        let mut push = PushClient::new(sandbox.connect(from.id.as_str()).await.unwrap());
        receipt_of(push.push_one(envelope(&from, &header, &parts)).await.unwrap().into_inner());
        // Bytes that are no header, and name somebody: refused, as evidence.
        let bad = envelope_of(&from, PLANTED.join("\n").into_bytes(), &[]);
        let refusal = refusal_in(&failure(push.push_one(bad).await));
        assert_eq!(refusal.code, Refusal::MalformedBytes.name());
        Self { sandbox, console, header, _folder: folder }
    }

    fn folder(&self, name: &str) -> std::path::PathBuf {
        self.sandbox.folder.join("staff").join(name)
    }

    async fn page(&self, name: &str, path: &str) -> Page {
        let config = Bearer::read(&self.folder(name).join("tls")).config(&self.sandbox);
        browse(self.console, config, path).await.unwrap()
    }

    fn referral(&self, language: &str) -> String {
        let key = &self.header.referral;
        format!("/{language}/referral/{}/{}", key.opened_by, key.id)
    }

    /// What is stuck, as the program tells it.
    fn stuck(&self, arguments: &[&str]) -> Vec<Value> {
        let answer =
            json(&[&["stuck", "--as", self.folder("operator-1").to_str().unwrap()], arguments].concat());
        answer["items"].as_array().unwrap().clone()
    }
}

/// Bytes that stand for ciphertext, and name somebody all the same.
fn planted(length: usize) -> Bytes {
    let text = PLANTED.join(" ");
    Bytes::from(text.bytes().cycle().take(length).collect::<Vec<_>>())
}

fn run(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program("gateway")).args(arguments).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    (output.status.success(), said)
}

fn json(arguments: &[&str]) -> Value {
    let (well, said) = run(&[&["--json"], arguments].concat());
    assert!(well, "{said}");
    serde_json::from_str(&said).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_is_away_and_an_answer_that_does_not_come() {
    let mut scene = Scene::set().await;
    let network = scene.sandbox.network.clone();
    let (from, to) = (network.at(1), network.at(0));
    let id = scene.header.envelope_id.to_string();

    // Its connection has just ended, and the gateway may not have noticed yet.
    let item = until("the emergency of an agent that is away", || scene.stuck(&[]).pop()).await;
    let says = |name: &str| item[name].as_str().unwrap().to_owned();
    assert_eq!(
        (says("referral"), says("opened_by"), says("recipient")),
        (id.clone(), from.id.to_string(), to.id.to_string())
    );
    assert_eq!((says("stage"), says("cause")), ("not_fetched".into(), "agent_away".into()));
    assert_eq!((says("call"), says("duty_phone")), (to.id.to_string(), PHONE.into()));
    assert!(item["due_at_ms"].as_u64().unwrap() > item["since_ms"].as_u64().unwrap());
    for (language, text) in [("en", "not connected"), ("ar", "غير متصل")] {
        let folder = scene.folder("operator-1");
        let (well, said) = run(&["stuck", "--as", folder.to_str().unwrap(), "--lang", language]);
        assert!(well && said.contains(text) && said.contains(PHONE) && said.contains(&id), "{said}");
        let page = scene.page("operator-1", &format!("/{language}/now")).await;
        assert_eq!(page.status, 200);
        assert!(page.body.contains(text) && page.body.contains(PHONE) && page.body.contains(&id));
        let (well, said) = run(&["status", "--as", folder.to_str().unwrap(), "--lang", language]);
        assert!(well && said.contains(to.id.as_str()), "{said}");
    }
    let status = json(&["status", "--as", scene.folder("operator-1").to_str().unwrap()]);
    assert_eq!(status["stages"][0]["stuck"], 1);
    assert_eq!(status["gateway"]["has_room"], true);

    // It comes back: fetched, and nobody has seen it; seen, and nobody has answered.
    let channel = scene.sandbox.connect(to.id.as_str()).await.unwrap();
    let mut stream = Deliveries::open(&channel, 4).await;
    let delivered = stream.delivered().await;
    let all = |scene: &Scene| scene.stuck(&["--all"]);
    let cause = |scene: &Scene| all(scene).pop().map(|item| item["cause"].as_str().unwrap().to_owned());
    until("connected, and not signed for", || cause(&scene).filter(|cause| cause == "agent_slow")).await;
    assert!(scene.stuck(&[]).is_empty(), "it is in its time");
    stream.say(wire::deliver_request::Request::Receipt(handover(to, &[delivered]))).await;
    stream.acknowledged().await;
    until("not seen", || cause(&scene).filter(|cause| cause == "nobody_looked")).await;
    let mut push = PushClient::new(channel);
    let mut random = Random::new(22);
    let mut previous = None;
    for act in [Act::See, Act::Accept] {
        let of = ActOf { referral: &scene.header.referral, attempt: 1, from: &to.id, to: &from.id, previous };
        let (mut said, detail) = network.act(&of, act, now(), &mut random);
        said.urgency = Urgency::Emergency;
        let envelope = envelope(to, &said, &detail);
        previous = Some((said.sequence, digest_of(&envelope)));
        receipt_of(push.push_one(envelope).await.unwrap().into_inner());
        if act == Act::See {
            until("not answered", || cause(&scene).filter(|cause| cause == "nobody_answered")).await;
        }
    }
    until("nothing is awaited", || all(&scene).is_empty().then_some(())).await;
    assert!(scene.sandbox.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_sees_its_pages_in_both_languages_and_nothing_else() {
    let scene = Scene::set().await;
    for language in ["en", "ar"] {
        let pages = ["now", "agencies", "agreements", "mechanism", "search", "audit"];
        let allowed: [(&str, [u16; 6]); 3] = [
            ("operator-1", [200, 200, 403, 403, 200, 403]),
            ("auditor-1", [403, 403, 200, 200, 200, 200]),
            ("boss-1", [200; 6]),
        ];
        for (name, expected) in allowed {
            for (page, status) in pages.iter().zip(expected) {
                let got = scene.page(name, &format!("/{language}/{page}")).await;
                assert_eq!(got.status, status, "{name} {page}");
                check(&got, language);
                if status == 403 {
                    let text = if language == "en" {
                        Refusal::RoleNotAllowed.text_en()
                    } else {
                        Refusal::RoleNotAllowed.text_ar()
                    };
                    assert!(got.body.contains(text), "{name} {page}");
                    assert!(!got.body.contains(PHONE) && !got.body.contains("<table"), "{name} {page}");
                }
                // What leads to pages that it may not see is not there either.
                for (other, status) in pages.iter().zip(expected) {
                    let leads = got.body.contains(&format!("href=\"/{language}/{other}\""));
                    assert_eq!(leads, status == 200, "{name} on {page} to {other}");
                }
            }
        }
        let of = async |name| scene.page(name, &scene.referral(language)).await;
        let (operator, auditor, boss) = (of("operator-1").await, of("auditor-1").await, of("boss-1").await);
        let (standing, proof) = ("id=\"standing\"", "/proof/");
        let sees = |page: &Page| (page.status, page.body.contains(standing), page.body.contains(proof));
        assert_eq!(sees(&operator), (200, true, false), "delivery state and contacts only");
        assert_eq!(sees(&auditor), (200, false, true), "evidence only");
        assert_eq!(sees(&boss), (200, true, true));
        assert!(operator.body.contains(PHONE) && !auditor.body.contains(PHONE));
    }
    // A proof is a file that anybody can check.
    let evidence = scene.page("auditor-1", &scene.referral("en")).await;
    let (_, rest) = evidence.body.split_once("/proof/").unwrap();
    let index: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let proof = scene.page("auditor-1", &format!("/en/proof/{index}")).await;
    assert!(proof.status == 200 && proof.body.starts_with("c2sp.org/tlog-proof@v1\n"), "{}", proof.body);
    assert_eq!(scene.page("operator-1", &format!("/en/proof/{index}")).await.status, 403);
    // Searching finds it, and a whole id leads to it, also for who may not search what is awaited.
    let id = scene.header.envelope_id.to_string();
    let found = scene.page("operator-1", &format!("/en/search?id={}", &id[..13])).await;
    assert!(found.body.contains(&scene.referral("en")));
    let whole = format!("/en/search?id={id}&agency={}", scene.header.referral.opened_by);
    for name in ["operator-1", "auditor-1"] {
        let led = scene.page(name, &whole).await;
        assert!(led.status == 303 && led.head.contains(&scene.referral("en")), "{name}: {}", led.head);
    }
    let hidden = scene.page("auditor-1", &format!("/en/search?id={}", &id[..13])).await;
    assert!(!hidden.body.contains(&scene.referral("en")), "an auditor sees no deliveries");
    for path in ["/en/nothing", "/xx/now/there", "/en/referral/ae.dfwac/019a"] {
        let status = scene.page("boss-1", path).await.status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_is_explained_and_a_referral_is_found_by_its_spoken_code_and_by_days() {
    let scene = Scene::set().await;
    let (from, to) = (&scene.header.from, &scene.header.to);
    let need = "category=trafficking&service=shelter&jurisdiction=AE&urgency=1";
    for (language, allowed, missing) in [
        ("en", "Allowed by the agreement", "This field is empty or not understood"),
        ("ar", "تسمح به الاتفاقية", "هذا الحقل فارغ أو غير مفهوم"),
    ] {
        let explain = async |query: &str| {
            let page = scene.page("auditor-1", &format!("/{language}/mechanism?{query}")).await;
            check(&page, language);
            page.body
        };
        let rules = explain("").await;
        assert!(rules.contains("<tbody>") && !rules.contains(allowed), "{rules}");
        let by_name = explain(&format!("from={from}&to={to}&{need}")).await;
        assert!(by_name.contains(allowed) && by_name.contains(to.as_str()), "{by_name}");
        let nowhere = explain(&format!("from={from}&to=xx.nobody&{need}")).await;
        assert!(nowhere.contains("NO_AGREEMENT") && !nowhere.contains(allowed), "{nowhere}");
        let unclear = explain("from=ae.dfwac").await;
        assert!(unclear.contains(missing) && unclear.contains("category"), "{unclear}");
    }
    let id = scene.header.referral.id.to_string();
    let spoken = Spoken::of(&scene.header.referral).to_string();
    let other = if spoken.ends_with('7') { "1" } else { "7" };
    let misheard = format!("{}{other}", &spoken[..spoken.len() - 1]).replace(' ', "+");
    let table = [
        (format!("id={}", spoken.replace(' ', "+")), true),
        (format!("id={misheard}"), false),
        ("since=2020-01-01".to_owned(), true),
        ("since=2020-01-01&until=2020-12-31".to_owned(), false),
        ("until=2100-01-01".to_owned(), true),
    ];
    for (query, found) in table {
        let page = scene.page("operator-1", &format!("/en/search?{query}")).await;
        assert_eq!((page.status, page.body.contains(&id)), (200, found), "{query}");
        assert_eq!(page.body.contains("misheard"), query.ends_with(&misheard), "{query}");
    }
}

/// What every page of the console must be.
fn check(page: &Page, language: &str) {
    let direction = if language == "ar" { "dir=\"rtl\"" } else { "dir=\"ltr\"" };
    assert!(page.body.contains(&format!("<html lang=\"{language}\" {direction}>")), "{}", page.body);
    for barred in ["<script>", "style=\"", "onclick", "http://", "https://"] {
        assert!(!page.body.contains(barred), "{barred} in {}", page.body);
    }
    for header in ["content-security-policy: default-src 'none'", "cache-control: no-store", "nosniff"] {
        assert!(page.head.contains(header), "{header} not in {}", page.head);
    }
    for text in PLANTED {
        assert!(!page.body.contains(text), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looks_and_denials_are_evidence_and_nobody_is_named_on_a_page() {
    let scene = Scene::set().await;
    for _ in 0..3 {
        assert_eq!(scene.page("operator-1", "/en/now").await.status, 200);
    }
    assert_eq!(scene.page("operator-1", "/en/audit").await.status, 403);
    let reads = scene.page("auditor-1", "/en/audit?sort=reads").await;
    assert_eq!(reads.body.matches("deliveries looked at").count(), 1, "one an hour: {}", reads.body);
    assert!(reads.body.contains("operator-1"));
    let denials = scene.page("auditor-1", "/en/audit?sort=denials").await;
    assert!(
        denials.body.contains("ROLE_NOT_ALLOWED") && denials.body.contains("MALFORMED"),
        "{}",
        denials.body
    );
    let acts = scene.page("auditor-1", "/en/audit?sort=acts").await;
    assert!(acts.body.contains("directory changed") && !acts.body.contains("ROLE_NOT_ALLOWED"));
    for language in ["en", "ar"] {
        let mut paths: Vec<_> = ["now", "agencies", "agreements", "audit"]
            .iter()
            .map(|page| format!("/{language}/{page}"))
            .collect();
        paths.extend([format!("/{language}/search?agency=ae.dfwac"), scene.referral(language)]);
        for path in paths {
            let page = scene.page("boss-1", &path).await;
            assert_eq!(page.status, 200, "{path}");
            check(&page, language);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_staff_come_in_and_whoever_is_revoked_is_cut_off() {
    let scene = Scene::set().await;
    let agency = scene.sandbox.network.at(1).id.to_string();
    let config = || Bearer::read(&scene.sandbox.folder.join(&agency)).config(&scene.sandbox);
    for path in ["/", "/en/now", "/style.css"] {
        let page = browse(scene.console, config(), path).await.unwrap();
        assert!(page.status == 403 && !page.body.contains('<'), "{path}");
    }
    let anonymous = browse(scene.console, peer::anonymous(&scene.sandbox), "/en/now").await;
    assert!(anonymous.is_err(), "no certificate, no connection");
    let operations = async |name: &Path| {
        let channel = gateway::admin::client::channel(&scene.sandbox.network_file(), name).await.unwrap();
        OperationsClient::new(channel)
    };
    for folder in [scene.sandbox.folder.join(&agency), scene.folder("auditor-1").join("tls")] {
        let status = failure(operations(&folder).await.get_status(wire::GetStatusRequest {}).await);
        let refusal = refusal_in(&status);
        assert_eq!((refusal.code.as_str(), refusal.receipt.is_some()), ("ROLE_NOT_ALLOWED", true));
    }
    let front = scene.page("operator-1", "/").await;
    assert!(front.status == 303 && front.head.contains("location: /en/now"), "{}", front.head);

    // A connection that is open when the certificate is revoked is cut, and no new one is taken.
    let tls = scene.folder("operator-1").join("tls");
    let mut config = Bearer::read(&tls).config(&scene.sandbox);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut open = peer::connect(scene.console, config).await.unwrap();
    assert_eq!(scene.page("operator-1", "/en/now").await.status, 200);
    let mut authority = scene.sandbox.authority();
    let fingerprint = Fingerprint::of(Bearer::read(&tls).chain.first().unwrap());
    let which = Which::Fingerprint(fingerprint);
    let unix_now = UnixTime::of(std::time::SystemTime::now()).unwrap();
    authority.revoke(&which, Reason::KeyCompromise, unix_now).unwrap();
    authority.trust(unix_now).unwrap().save(&scene.sandbox.place().tls_folder()).unwrap();
    let mut rest = Vec::new();
    let cut = tokio::io::AsyncReadExt::read_to_end(&mut open, &mut rest);
    let cut = tokio::time::timeout(trials::speak::PATIENCE, cut).await.unwrap();
    assert!(cut.is_err() || rest.is_empty());
    let config = Bearer::read(&tls).config(&scene.sandbox);
    assert!(browse(scene.console, config, "/en/now").await.is_err());
    assert!(fs::read_dir(&tls).is_ok());
}
