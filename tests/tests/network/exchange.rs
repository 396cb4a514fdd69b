//! The exchange folder between two real agents: what is half-written is never taken, what is taken is sent once
//! whoever is killed, nothing readable lies there but on demand, and what was taken never comes again.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde_json::Value;
use trials::demo::Stage;

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
/// Of the case that is sent: what may stand nowhere in the folder unless somebody asked for it.
const SUMMARY: &str = "مأوى آمن لامرأة وطفليها";
const IDENTITY: &str = "Marisol Eduardo";
/// In a photograph's Exif, and in its name.
const PLACE: &[u8] = b"GPSLatitude 25.7895";
const PHOTOGRAPH: &str = "Marisol-at-the-door.jpg";

fn exchange(stage: &Stage, agency: &str) -> PathBuf {
    stage.path(agency).join("exchange")
}

fn configure(stage: &mut Stage, agency: &str) {
    let settings = stage.path(agency).join("agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(settings, format!("{text}\n[exchange]\nfolder = \"exchange\"\n")).unwrap();
    stage.restart_agent(agency).unwrap();
    let outbox = exchange(stage, agency).join("inbox/taken");
    until("the folder is made", || outbox.is_dir().then_some(()));
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flatten().flat_map(|entry| below(entry.path())).collect()
}

fn holds(folder: &Path, words: &[u8]) -> bool {
    let stands = |path: &PathBuf| {
        let bytes = fs::read(path).unwrap_or_default();
        bytes.windows(words.len()).any(|here| here == words)
    };
    files(folder).iter().any(stands)
}

/// Names of the referrals' folders that lie in a folder.
fn lying(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.len() > 36 && !name.starts_with('.')).collect();
    names.sort();
    names
}

/// Waits for a referral's folder that some text stands in.
fn handed(inbox: &Path, text: &str) -> String {
    until("it is handed over", || {
        lying(inbox).into_iter().find(|name| holds(&inbox.join(name), text.as_bytes()))
    })
}

/// Moves a referral's folder to `open`, and waits for its contents; none when newer news has just taken its place.
fn open(inbox: &Path, name: &str) -> Option<PathBuf> {
    let opened = inbox.join("open").join(name);
    fs::rename(inbox.join(name), &opened).ok()?;
    until("it is opened", || opened.join("content.txt").exists().then_some(()));
    Some(opened)
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn photograph() -> Vec<u8> {
    let told = [b"Exif\0\0MM\0*", PLACE].concat();
    let length = u16::try_from(told.len() + 2).unwrap().to_be_bytes();
    [&[0xff, 0xd8, 0xff, 0xe1], length.as_slice(), &told, b"\xff\xda\0\x02picture\xff\xd9"].concat()
}

/// The demo's case with a photograph, in a folder.
fn write_case(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for name in ["case.json", "تقرير-طبي.txt", "خطة-السلامة.txt"] {
        fs::copy(Stage::prop(name), folder.join(name)).unwrap();
    }
    fs::write(folder.join(PHOTOGRAPH), photograph()).unwrap();
}

#[test]
fn a_case_goes_through_the_folders_of_two_agencies_and_nothing_readable_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let case = Stage::prop("case.json").to_string_lossy().into_owned();
    until("the agreement reaches the agent", || stage.agent(FROM, &["explain", &case]).ok());
    for agency in [FROM, TO] {
        configure(&mut stage, agency);
    }
    let (ours, theirs) = (exchange(&stage, FROM), exchange(&stage, TO));
    send(&ours);
    let name = handed(&theirs.join("inbox"), "ae.dfwac");
    assert!(!holds(&theirs, SUMMARY.as_bytes()), "nothing readable comes by itself");
    accept(&theirs, &name);
    let answered = handed(&ours.join("inbox"), "standing: accepted");
    assert!(
        !files(&ours.join("inbox").join(&answered).join("receipts")).is_empty(),
        "receipts lie beside it"
    );
    identity_comes(&theirs.join("inbox"), &name);
    assert!(!holds(&stage.path("hub"), PHOTOGRAPH.as_bytes()), "names of files are sealed");
    for log in files(&stage.path("logs")) {
        assert!(!text(&log).contains(PHOTOGRAPH) && !text(&log).contains("case.ready"), "{}", log.display());
    }
    taken_for_good(&mut stage, &theirs);

    // Whoever else could read it is named, in the folder itself and where the agent is asked.
    fs::set_permissions(&ours, fs::Permissions::from_mode(0o755)).unwrap();
    until("it is said in the folder", || ours.join("!WARNING.txt").exists().then_some(()));
    let status = until("it is said by the agent", || {
        let status = stage.agent(FROM, &["status"]).unwrap();
        status["exchange"]["warnings"].get(0).map(|warning| warning["code"].clone())
    });
    assert_eq!(status, "EXCHANGE_OPEN_TO_EVERYBODY");
    stage.end().unwrap();
}

/// A folder is not taken before somebody says that it is whole; then nothing of it stays.
fn send(ours: &Path) {
    let outbox = ours.join("outbox");
    write_case(&outbox.join("case"));
    until("it is said what to do", || outbox.join("case.waiting.txt").exists().then_some(()));
    assert!(outbox.join("case").join(PHOTOGRAPH).exists());
    fs::rename(outbox.join("case"), outbox.join("case.ready")).unwrap();
    until("it is taken", || outbox.join("case.ready.sent.txt").exists().then_some(()));
    until("nothing of it stays", || (!holds(ours, SUMMARY.as_bytes())).then_some(()));
    assert!(!holds(ours, IDENTITY.as_bytes()) && !outbox.join("case.ready").exists());
    let word = text(&outbox.join("case.ready.sent.txt"));
    assert!(word.contains("Written down as") && word.contains("حُفظ برقم"), "{word}");
    assert!(word.contains("taken out of it") && word.contains("حُذف من الصورة"), "{word}");
    assert!(!word.contains(PHOTOGRAPH), "{word}");
    until("the word for whoever forgets goes with its folder", || {
        (!outbox.join("case.waiting.txt").exists()).then_some(())
    });
}

/// Opened on demand, refused as long as a person has not said what only people can say, and accepted by a file.
fn accept(theirs: &Path, name: &str) {
    let inbox = theirs.join("inbox");
    let answers = inbox.join(name).join("answers");
    let offered: BTreeSet<_> = files(&answers).into_iter().collect();
    assert!(offered.contains(&answers.join("accept.json")), "{offered:?}");
    assert!(!offered.contains(&answers.join("complete.json")), "only what is legal now");
    let opened = open(&inbox, name).unwrap();
    let content = text(&opened.join("content.txt"));
    assert!(content.contains(SUMMARY) && content.contains("SAFE CONTACT") && !content.contains(IDENTITY));

    fs::copy(opened.join("answers/decline.json"), theirs.join("outbox/decline.json")).unwrap();
    let error = theirs.join("outbox/decline.json.error.txt");
    until("it is refused", || error.exists().then_some(()));
    assert!(text(&error).contains("/reason") && text(&error).contains("لم يُرسل"), "{}", text(&error));
    fs::remove_file(theirs.join("outbox/decline.json")).unwrap();
    until("the word goes with it", || (!error.exists()).then_some(()));

    fs::rename(opened.join("answers/accept.json"), theirs.join("outbox/accept.json")).unwrap();
}

/// The newest news has the identity, and the picture without its place.
fn identity_comes(inbox: &Path, before: &str) {
    let whole = until("the identity comes", || {
        let name = lying(inbox).into_iter().find(|other| other != before)?;
        let opened = open(inbox, &name)?;
        let is_there = text(&opened.join("content.txt")).contains(IDENTITY);
        if !is_there {
            fs::rename(&opened, inbox.join("taken").join(&name)).unwrap();
        }
        is_there.then_some(opened)
    });
    let saved = files(&whole.join("attachments"));
    let photo = saved.iter().find(|path| path.to_string_lossy().ends_with(PHOTOGRAPH)).unwrap();
    assert_eq!(fs::read(photo).unwrap(), b"\xff\xd8\xff\xda\0\x02picture\xff\xd9");
}

/// Nothing readable stays of what was taken, and it never comes again.
fn taken_for_good(stage: &mut Stage, theirs: &Path) {
    let inbox = theirs.join("inbox");
    until("nothing readable stays", || {
        // Also what comes meanwhile: the receipt of the acceptance, say. What the agent replaces just now is gone.
        for folder in [inbox.clone(), inbox.join("open")] {
            for name in lying(&folder) {
                drop(fs::rename(folder.join(&name), inbox.join("taken").join(&name)));
            }
        }
        let stays = holds(theirs, SUMMARY.as_bytes()) || holds(theirs, IDENTITY.as_bytes());
        (!stays && lying(&inbox).is_empty()).then_some(())
    });
    let taken = lying(&inbox.join("taken"));
    stage.restart_agent(TO).unwrap();
    // The agent has looked again once it says something of a new file.
    fs::write(theirs.join("outbox/other.json"), "{}").unwrap();
    until("it looks again", || theirs.join("outbox/other.json.error.txt").exists().then_some(()));
    let again: Vec<_> = lying(&inbox).into_iter().filter(|name| taken.contains(name)).collect();
    assert!(again.is_empty() && taken.len() >= 2, "what was taken never comes again: {again:?}");
}

#[test]
fn what_is_half_written_is_not_taken_and_what_is_taken_is_sent_once_whoever_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let message = Stage::prop("message.json");
    until("the agreement reaches the agent", || {
        stage.agent(FROM, &["explain", &message.to_string_lossy()]).ok()
    });
    configure(&mut stage, FROM);
    let outbox = exchange(&stage, FROM).join("outbox");
    let sent = |stage: &Stage| {
        let all = stage.agent(FROM, &["inbox", "--sent", "--all"]).unwrap();
        all.as_array().unwrap().len()
    };

    // Half of it is never sent, however long it lies there; the rest comes, and it is.
    let whole = fs::read(&message).unwrap();
    fs::write(outbox.join("a.json"), &whole[..whole.len() / 2]).unwrap();
    until("it is said", || outbox.join("a.json.error.txt").exists().then_some(()));
    assert_eq!((sent(&stage), outbox.join("a.json").exists()), (0, true));
    fs::write(outbox.join("a.json"), &whole).unwrap();
    until("the whole is taken", || outbox.join("a.json.sent.txt").exists().then_some(()));
    assert!(!outbox.join("a.json").exists() && !outbox.join("a.json.error.txt").exists());
    assert_eq!(sent(&stage), 1);

    // A link leads nowhere: what it leads to is not sent, and stays.
    let key = stage.path(FROM).join("keys/signing.key");
    std::os::unix::fs::symlink(&key, outbox.join("link.json")).unwrap();
    until("it is said", || outbox.join("link.json.error.txt").exists().then_some(()));
    assert!(key.exists());
    fs::remove_file(outbox.join("link.json")).unwrap();

    // Killed again and again while it takes, sends and removes.
    let count: usize = 12;
    for number in 0..count {
        let mut document: Value = serde_json::from_slice(&whole).unwrap();
        document["summary"]["message"] = format!("word {number}").into();
        fs::write(outbox.join(format!("m{number}.json")), document.to_string()).unwrap();
    }
    let left =
        || files(&outbox).iter().filter(|path| path.extension().is_some_and(|end| end == "json")).count();
    let mut kills = 0;
    while left() > 0 {
        let before = left();
        until("it goes on", || (left() < before || left() == 0).then_some(()));
        stage.restart_agent(FROM).unwrap();
        kills += 1;
    }
    assert!(kills > 0);
    until("all of them are sent", || (sent(&stage) == count + 1).then_some(()));
    let told = (0..count).filter(|number| outbox.join(format!("m{number}.json.sent.txt")).exists()).count();
    assert_eq!((told, sent(&stage)), (count, count + 1), "each once");
    stage.end().unwrap();
}
