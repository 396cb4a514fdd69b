//! The whole way, as people type it: a network is made, two administrators invite two agencies, each
//! joins by itself, they sign an agreement, and a referral goes from one to the other. And the secret of
//! an invitation is nowhere on the gateway's machine, before or after.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use proto::invitation::Invitation;
use serde_json::Value;
use trials::sandbox::{free_address, program};

use super::given::agent;

const DFWAC: &str = "ae.dfwac";
const AMAN: &str = "ae-rk.aman";
const TIME_MAX: Duration = Duration::from_secs(60);

/// Programs that run, ended when dropped.
struct Running(Vec<Child>);

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

struct Hub {
    root: PathBuf,
    listen: SocketAddr,
}

impl Hub {
    fn make(root: &Path) -> Self {
        let hub = Self { root: root.to_owned(), listen: free_address() };
        let (listen, enrolment, metrics) =
            (hub.listen.to_string(), free_address().to_string(), free_address().to_string());
        let names = ["--network", "referral.example", "--host", "127.0.0.1", "--segment-mib", "1"];
        let addresses = ["--listen", &listen, "--enrolment-listen", &enrolment, "--metrics", &metrics];
        let people = ["--administrator", "blue-1", "--administrator", "green-2"];
        let folder = hub.path("hub");
        gateway(&[&["init", &folder], &names[..], &addresses, &people].concat());
        hub
    }

    fn path(&self, name: &str) -> String {
        self.root.join(name).to_str().unwrap().to_owned()
    }

    fn desk(&self, pseudonym: &str) -> String {
        self.path(&format!("hub/administrators/{pseudonym}"))
    }

    fn start(&self) -> Child {
        let log = fs::File::create(self.path("gateway.log")).unwrap();
        let config = self.path("hub/gateway.toml");
        let child = Command::new(program("gateway"))
            .args(["serve", "--config", &config])
            .stderr(log)
            .spawn()
            .unwrap();
        wait_for("the gateway", || TcpStream::connect(self.listen).is_ok());
        child
    }

    /// Two administrators invite; gives the text's file.
    fn invite(&self, agency: &str, names: [&str; 2], jurisdiction: &str) -> String {
        let (text, object) =
            (self.path(&format!("{agency}.invitation")), self.path(&format!("{agency}.json")));
        let (blue, green) = (self.desk("blue-1"), self.desk("green-2"));
        let said = gateway(&[
            "admin",
            "invite",
            agency,
            "--type",
            "Shelter",
            "--name-en",
            names[0],
            "--name-ar",
            names[1],
            "--jurisdiction",
            jurisdiction,
            "--valid",
            "12h",
            "--invitation",
            &text,
            "--out",
            &object,
            "--as",
            &blue,
        ]);
        assert_eq!(said["invitation"].as_str(), Some(text.as_str()));
        assert!(!said.to_string().contains("invitation1:"), "it is in the file only");
        assert_eq!(fs::metadata(&text).unwrap().permissions().mode() & 0o777, 0o600);
        let shown = gateway(&["admin", "show", &object]).to_string();
        assert!(shown.contains(agency) && shown.contains(names[1]), "{shown}");
        gateway(&["admin", "sign", &object, "--as", &green]);
        gateway(&["admin", "submit", &object, "--as", &green]);
        text
    }

    fn invitations(&self) -> Vec<(String, String, String)> {
        let said = gateway(&["admin", "invitations", "--as", &self.desk("green-2")]);
        let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
        let all = said["invitations"].as_array().unwrap().iter();
        all.map(|one| (text(one, "agency"), text(one, "standing"), text(one, "id"))).collect()
    }

    /// Whether the secret stands in any file of the gateway, in any of the forms that it could have.
    fn holds(&self, invitation: &Invitation) -> Option<PathBuf> {
        let text = invitation.to_text();
        let payload = text.trim_start_matches("invitation1:");
        // The secret is the payload's last field: its characters before the checksum's, wherever they begin.
        let end = payload.len() - 6;
        let encoded = &payload[end - 32..end];
        let seed = seed_of(payload);
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        let needles: [&[u8]; 3] = [encoded.as_bytes(), &seed, hex.as_bytes()];
        let found = files(&self.root.join("hub")).into_iter().chain([self.root.join("gateway.log")]);
        found.into_iter().find(|path| {
            let bytes = fs::read(path).unwrap_or_default();
            needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == *needle))
        })
    }
}

/// The 32 bytes that the text ends in, before its checksum.
fn seed_of(payload: &str) -> Vec<u8> {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let bytes = URL_SAFE_NO_PAD.decode(payload).unwrap();
    bytes[bytes.len() - 36..bytes.len() - 4].to_vec()
}

/// The demo's own files.
fn prop(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn gateway(arguments: &[&str]) -> Value {
    let output = Command::new(program("gateway")).arg("--json").args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < TIME_MAX, "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn run_agent(folder: &Path) -> Child {
    let log = fs::File::create(folder.with_extension("log")).unwrap();
    let mut command = Command::new(program("agent"));
    command.arg("--folder").arg(folder).arg("run").stderr(log).stdin(Stdio::null());
    let child = command.spawn().unwrap();
    wait_for("the agent", || agent(folder, &["status"]).0 == 0);
    child
}

#[test]
fn invited_agencies_join_by_themselves_and_refer() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::make(folder.path());
    let mut running = Running(vec![hub.start()]);
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    let texts =
        [hub.invite(DFWAC, ["A foundation", "مؤسسة"], "AE"), hub.invite(AMAN, ["A centre", "مركز"], "AE-RK")];
    let invitations =
        texts.each_ref().map(|text| Invitation::parse(&fs::read_to_string(text).unwrap()).unwrap());
    assert_eq!(hub.holds(&invitations[0]), None, "before its use");
    for (office, text) in [(&one, &texts[0]), (&other, &texts[1])] {
        let (exit, said, error) = agent(office, &["enrol", text]);
        assert_eq!(exit, 0, "{error}");
        assert_eq!((said["enrolled"].as_bool(), said["in_force"].as_bool()), (Some(true), Some(true)));
        assert!(said["older_keys"].as_array().unwrap().is_empty());
        running.0.push(run_agent(office));
    }
    assert!(hub.invitations().iter().all(|(_, standing, _)| standing == "used"));

    let draft = prop("ae.dfwac-ae-rk.aman.toml");
    let object = hub.path("agreement.json");
    gateway(&["admin", "agreement", draft.to_str().unwrap(), "--out", &object]);
    for office in [&one, &other] {
        assert_eq!(agent(office, &["sign", &object]).0, 0);
    }
    gateway(&["admin", "submit", &object, "--as", &hub.desk("blue-1")]);
    let case = prop("case.json");
    let case = case.to_str().unwrap();
    // The agreement reaches the agent within seconds.
    wait_for("the referral to be taken", || agent(&one, &["send", case, "--wait"]).0 == 0);
    wait_for("the referral to arrive", || {
        agent(&other, &["inbox"]).1.as_array().is_some_and(|cases| !cases.is_empty())
    });
    // A third one is withdrawn by one person, and is of no use.
    let text = hub.invite("jo.mosd", ["A ministry", "وزارة"], "JO");
    let (_, _, id) = hub.invitations().into_iter().find(|(agency, ..)| agency == "jo.mosd").unwrap();
    gateway(&["admin", "revoke-invitation", &id, "--as", &hub.desk("blue-1")]);
    let (exit, said, _) = agent(&folder.path().join("third"), &["enrol", &text]);
    assert_eq!((exit, said["refusal"]["code"].as_str()), (3, Some("INVITATION_REVOKED")));
    drop(running);
    for invitation in &invitations {
        assert_eq!(hub.holds(invitation), None, "after its use");
    }
    let log = fs::read_to_string(hub.path("gateway.log")).unwrap();
    assert!(!log.contains("invitation1:") && !log.contains(DFWAC), "{log}");
    gateway(&["verify", &hub.path("hub")]);
}
