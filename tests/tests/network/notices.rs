//! People are told: by mail and by a hook, once for much that waits, again when what carries it was down;
//! with nothing of a case in it. And whom to telephone in an emergency, with a code that both sides work
//! out for themselves. Not here: when a bell rings (`agent`).
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
use trials::{
    demo::{Programs, Stage, found},
    post::{Post, Speaks},
    sandbox::program,
};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
const PHONE: &str = "+97172221111";
const PASSWORD: &str = "a test's password, known to everybody";
/// Of the case that is sent: what nobody may be told outside of the agent.
const PLANTED: [&str; 6] = ["ماريسول", "Marisol", "المثالية", "Mithaliya", "trafficking", "shelter"];

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !happened() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited for {what}");
        std::thread::yield_now();
    }
}

fn stage(folder: &Path) -> Stage {
    let programs = Programs::at(program("gateway"), program("agent"));
    let mut stage = Stage::open(programs, Some(folder.join("stage"))).unwrap();
    found(&mut stage).unwrap();
    stage
}

/// The case of the demo, as urgent as is said.
fn case(folder: &Path, urgency: &str) -> PathBuf {
    let mut document: Value = serde_json::from_slice(&fs::read(Stage::prop("case.json")).unwrap()).unwrap();
    document["urgency"] = urgency.into();
    document["attachments"] = Value::Array(Vec::new());
    let path = folder.join(format!("{urgency}.json"));
    fs::write(&path, document.to_string()).unwrap();
    path
}

/// Adds to the agency's settings, and has its agent take them up.
fn configure(stage: &mut Stage, agency: &str, more: &str) {
    let settings = stage.path(agency).join("agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(settings, format!("{text}\n{more}\n")).unwrap();
    stage.restart_agent(agency).unwrap();
}

fn write_password(stage: &Stage, password: &str, mode: u32) {
    let path = stage.path(TO).join("keys/mail.password");
    fs::write(&path, format!("{password}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The text of a mail, whatever it was wrapped in.
fn text_of(mail: &str) -> String {
    let (head, body) = mail.split_once("\r\n\r\n").unwrap();
    if head.contains("Content-Transfer-Encoding: base64") {
        let joined: String = body.split_whitespace().collect();
        return String::from_utf8(BASE64_STANDARD.decode(joined).unwrap()).unwrap();
    }
    assert!(head.contains("Content-Transfer-Encoding: quoted-printable"), "{head}");
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            let hex = std::str::from_utf8(&after[..2]).unwrap();
            bytes.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

/// An emergency: whom to telephone, and a code that finds it on both sides. Gives its id and its code.
fn is_telephoned(stage: &Stage, folder: &Path) -> (String, String) {
    let emergency = case(folder, "emergency").to_string_lossy().into_owned();
    let mut sent = Value::Null;
    wait_for("the agreement", || stage.agent(FROM, &["send", &emergency]).map(|said| sent = said).is_ok());
    let referral = text(&sent, "referral").to_owned();
    assert_eq!(sent["telephone"]["agency"], TO);
    wait_for("the duty desk in the directory", || {
        stage.agent(FROM, &["show", &referral]).unwrap()["telephone"]["phone"] == PHONE
    });
    let code = text(&sent, "code").to_owned();
    wait_for("the emergency", || stage.agent(TO, &["show", &code]).is_ok());
    // The other side finds the same by it, however it is written.
    let arabic: String = code
        .chars()
        .map(|digit| digit.to_digit(10).map_or('-', |digit| char::from_u32(u32::from('٠') + digit).unwrap()))
        .collect();
    for written in [code.clone(), code.replace(' ', ""), arabic] {
        assert_eq!(stage.agent(TO, &["show", &written]).unwrap()["case"]["referral"], referral.as_str());
    }
    let inbox = stage.agent(TO, &["inbox"]).unwrap();
    assert_eq!(text(&inbox[0], "code"), code);
    // A digit that was misheard leads nowhere.
    let last = code.chars().last().and_then(|digit| digit.to_digit(10)).unwrap();
    let misheard = format!("{}{}", &code[..code.len() - 1], (last + 1) % 10);
    let said = stage.agent(TO, &["show", &misheard]).unwrap_err().to_string();
    assert!(said.contains("misheard") && said.contains("الرمز"), "{said}");
    (referral, code)
}

#[test]
fn people_are_told_once_of_much_that_waits_also_when_the_mail_server_was_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let tls = stage.path("hub/tls");
    let mails = Post::open(Speaks::Starttls, &tls, Some(("referrals", PASSWORD)));
    let hook = Post::open(Speaks::Https, &tls, None);
    mails.works(false);
    fs::copy(tls.join("root.pem"), stage.path(TO).join("our-authority.pem")).unwrap();
    write_password(&stage, PASSWORD, 0o600);
    let settings = format!(
        "[mail]\nserver = \"localhost:{}\"\nsecurity = \"starttls\"\nfrom = \"Referrals <agent@aman.example>\"\n\
         to = [\"المناوبة <duty@aman.example>\", \"head@aman.example\"]\nuser = \"referrals\"\n\
         password_file = \"keys/mail.password\"\nca = \"our-authority.pem\"\n\
         [hook]\nurl = \"https://localhost:{}/notice?secret=1\"\nca = \"our-authority.pem\"\n\
         [duty_desk]\nphone = \"{PHONE}\"\n",
        mails.address.port(),
        hook.address.port()
    );
    configure(&mut stage, TO, &settings);

    let (referral, code) = is_telephoned(&stage, folder.path());
    // Two more, while the mail server is down: that is told, and holds up nothing else.
    let urgent = case(folder.path(), "urgent").to_string_lossy().into_owned();
    for _ in 0..2 {
        stage.agent(FROM, &["send", &urgent]).unwrap();
    }
    wait_for("three that nobody has seen", || {
        let waits = stage.agent(TO, &["inbox"]).unwrap();
        waits.as_array().unwrap().iter().filter(|case| case["status"] == "delivered").count() == 3
    });
    let way = |name: &str| {
        let status = stage.agent(TO, &["status"]).unwrap();
        status["notices"].as_array().unwrap().iter().find(|way| way["way"] == name).unwrap().clone()
    };
    wait_for("the mail to fail", || way("mail")["failing_since_ms"].is_u64() && mails.turned_away() > 1);
    assert!(text(&way("mail"), "text_en").contains("421") && !way("mail")["text_ar"].is_null());
    wait_for("the hook", || hook.told().iter().any(|told| told.contains("\"unseen\":3")));
    assert!(way("hook")["failing_since_ms"].is_null() && mails.told().is_empty());

    mails.works(true);
    wait_for("the mail", || way("mail")["told_at_ms"].is_u64());
    assert!(way("mail")["failing_since_ms"].is_null());
    // One more is heard of by the hook at once, and goes into a later mail.
    stage.agent(FROM, &["send", &urgent]).unwrap();
    wait_for("the hook again", || hook.told().iter().any(|told| told.contains("\"unseen\":4")));
    let told = mails.told();
    assert_eq!(told.len(), 1, "one mail for three referrals");
    let (mail, said) = (&told[0], text_of(&told[0]));
    assert!(said.contains("3 waiting referrals; in an emergency: 1"), "{said}");
    assert!(said.contains("3 إحالات منتظرة") && said.contains(&code), "{said}");
    assert!(mail.contains("duty@aman.example") && mail.contains("head@aman.example"));
    assert!(mail.contains("Subject: ") && mail.contains("Auto-Submitted: auto-generated"));
    assert!(mail.is_ascii(), "what is not ASCII is wrapped");
    for told in hook.told().iter().chain([mail, &said]) {
        assert!(!told.contains(&referral), "no id of a case");
        for planted in PLANTED {
            assert!(!told.contains(planted), "{planted}: {told}");
        }
    }
    // Nor does the log say what was told, or where.
    let log = fs::read_to_string(stage.path(&format!("logs/{TO}.log"))).unwrap();
    assert!(log.contains("people could not be told"));
    for secret in ["secret=1", PASSWORD, "aman.example", code.as_str()] {
        assert!(!log.contains(secret), "{secret}");
    }
    stage.end().unwrap();
}

#[test]
fn a_test_says_what_fails_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path());
    let tls = stage.path("hub/tls");
    let starttls = Post::open(Speaks::Starttls, &tls, Some(("referrals", PASSWORD)));
    let smtps = Post::open(Speaks::Smtps, &tls, Some(("referrals", PASSWORD)));
    let plain = Post::open(Speaks::Http, &tls, None);
    let settings = stage.path(TO).join("agent.toml");
    let before = fs::read_to_string(&settings).unwrap();
    fs::copy(tls.join("root.pem"), stage.path(TO).join("our-authority.pem")).unwrap();
    // What the settings say besides, and what the test says: nothing when all is well.
    let mail = |port: u16, security: &str, more: &str| {
        format!(
            "[mail]\nserver = \"localhost:{port}\"\nsecurity = \"{security}\"\nfrom = \"a@b.example\"\n\
             to = [\"c@d.example\"]\nuser = \"referrals\"\npassword_file = \"keys/mail.password\"\n{more}"
        )
    };
    let hook = |port: u16| format!("[hook]\nurl = \"http://localhost:{port}/\"\n");
    let ca = "ca = \"our-authority.pem\"";
    let [starttls_port, smtps_port, plain_port] = [&starttls, &smtps, &plain].map(|post| post.address.port());
    let nobody = trials::sandbox::free_address().port();
    for (settings_say, password, mode, says) in [
        (mail(starttls_port, "starttls", ca), PASSWORD, 0o600, ""),
        (mail(smtps_port, "tls", ca), PASSWORD, 0o600, ""),
        (hook(plain_port), PASSWORD, 0o600, ""),
        (mail(starttls_port, "starttls", ca), "another", 0o600, "user or password"),
        (mail(starttls_port, "starttls", ca), PASSWORD, 0o644, "`password_file`"),
        (mail(starttls_port, "starttls", ""), PASSWORD, 0o600, "certificate"),
        (mail(smtps_port, "tls", ""), PASSWORD, 0o600, "certificate"),
        (mail(starttls_port, "starttls", "ca = \"nowhere.pem\""), PASSWORD, 0o600, "`ca`"),
        (mail(nobody, "tls", ca), PASSWORD, 0o600, "cannot be reached"),
        (hook(nobody), PASSWORD, 0o600, "cannot be reached"),
        // No TLS, no mail: nothing is said in clear.
        (mail(starttls_port, "none", ""), PASSWORD, 0o600, "`security`"),
    ] {
        fs::write(&settings, format!("{before}\n{settings_say}\n")).unwrap();
        write_password(&stage, password, mode);
        let said = stage.agent(TO, &["notices", "test"]);
        match said {
            Ok(ways) => {
                assert_eq!(says, "", "{settings_say}: {ways}");
                assert!(ways.as_array().unwrap().iter().all(|way| way["good"] == true), "{ways}");
            }
            Err(error) => {
                let error = error.to_string();
                assert!(!says.is_empty() && error.contains(says), "{settings_say}: {error}");
                assert!(!error.contains(PASSWORD) && !error.contains("d.example"), "{error}");
            }
        }
    }
    assert_eq!((starttls.told().len(), smtps.told().len(), plain.told().len()), (1, 1, 1));
    assert!(text_of(&smtps.told()[0]).contains("تجربة") && plain.told()[0].contains("\"kind\":\"test\""));
    plain.works(false);
    fs::write(&settings, format!("{before}\n{}\n", hook(plain_port))).unwrap();
    let said = stage.agent(TO, &["notices", "test"]).unwrap_err().to_string();
    assert!(said.contains("503"), "{said}");
}
