//! Sending a referral, and waiting for what the gateway says. Not here: acts (`acts`).

use std::{
    fs,
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use agent::{
    api::{self, agent_client::AgentClient},
    clock, document, local,
    office::outbound::kind_word,
    traces::{self, Told},
    words,
};
use indicatif::ProgressBar;
use serde_json::json;
use tonic::transport::Channel;

use super::{
    arguments::{Check, Explain, Send, Sending},
    outcome::{Outcome, Trouble},
    show::{self, Screen},
};

/// How often it is looked how far long work is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Largest file that is given to the agent with the call; a larger one it reads itself.
const FILE_BYTES_MAX: u64 = 128 * 1024;

pub(crate) type Client = AgentClient<Channel>;

/// The agent that runs on a folder.
pub(crate) async fn client(folder: &Path) -> Result<Client, Trouble> {
    let socket = folder.join("agent.sock");
    local::client(&socket).await.map_err(|_| {
        let says = format!(
            "no agent answers at {}; start it with `agent run`, or name its folder with -C",
            socket.display()
        );
        Trouble::not_reached(says)
    })
}

pub(crate) async fn send(folder: &Path, send: &Send, screen: &Screen) -> Result<Outcome, Trouble> {
    let document = read_document(&send.document)?;
    let named = beside(&send.document, &document);
    let mut files = named.iter().map(|path| read_file(path, false)).collect::<Result<Vec<_>, _>>()?;
    files.extend(attached(&send.sending)?);
    named.iter().chain(&send.sending.attach).for_each(|path| warn(path, screen));
    let request = api::SendRequest {
        document,
        files,
        idempotency_key: send.sending.key.clone(),
        unchecked: send.sending.unchecked,
        again: send.again.clone(),
    };
    let is_long = request.files.iter().any(|file| !file.path.is_empty());
    let mut client = client(folder).await?;
    let answer = if is_long {
        let bar = screen.spinner(screen.language.pick("sealing", "يجري التشفير"));
        let showing = show_far(client.clone(), &bar, |status| status.sealing);
        let answer = tokio::select! {
            answer = client.send(request) => answer,
            never = showing => match never {},
        };
        bar.finish_and_clear();
        answer
    } else {
        client.send(request).await
    };
    let answer = answer?.into_inner();
    answered(&mut client, answer, &send.sending, screen).await
}

/// Checks a document as the agent would, here. Needs no agent and no connection.
pub(crate) fn check(check: &Check, screen: &Screen) -> Result<Outcome, Trouble> {
    let text = read_document(&check.document)?;
    let named = beside(&check.document, &text);
    // Whether they are there is all that matters of files.
    let files = named.iter().chain(&check.attach).map(|path| {
        let name = file_name(path)?;
        let bytes = fs::metadata(path)
            .map_err(|error| Trouble::usage(format!("{name} cannot be read: {}", error.kind())))?
            .len();
        let (media_type, content) = (String::new(), document::Content::Apart { path: path.clone(), bytes });
        let about = Vec::new();
        Ok(document::File { name, media_type, contains_identity: true, about, content })
    });
    let files = files.collect::<Result<_, Trouble>>()?;
    named.iter().chain(&check.attach).for_each(|path| warn(path, screen));
    match document::read_all(&text, files, clock::now()) {
        Ok(documents) => {
            let good = screen.language.pick("Good", "صحيح");
            let kind = |document: &document::Document| kind_word(document.kind);
            let lines =
                documents.iter().map(|one| format!("{good}: {}", words::kind(kind(one), screen.language)));
            let all: Vec<_> = lines.collect();
            screen.show(
                all,
                || json!({"good": true, "kind": documents.first().map(kind), "referrals": documents.len()}),
            );
            Ok(Outcome::Done)
        }
        Err(flaws) => {
            flawed(&api::Flaws { flaws: flaws.iter().map(api::Flaw::from).collect() }, screen);
            Ok(Outcome::Refused)
        }
    }
}

/// Says to whom a document would go.
pub(crate) async fn explain(folder: &Path, explain: &Explain, screen: &Screen) -> Result<Outcome, Trouble> {
    let request = api::ExplainRequest { document: read_document(&explain.document)? };
    let answer = client(folder).await?.explain(request).await?.into_inner();
    if let Some(flaws) = &answer.flaws {
        flawed(flaws, screen);
        return Ok(Outcome::Refused);
    }
    let language = screen.language;
    let nobody = language
        .pick("No rule of the mechanism fits this need.", "لا تنطبق أي قاعدة من آلية الإحالة على هذا الاحتياج.");
    let nobody = answer.choices.is_empty().then(|| nobody.to_owned());
    let lines = answer.choices.iter().flat_map(|choice| show::choice_lines(choice, language));
    screen.show(lines.chain(nobody), || {
        serde_json::Value::Array(answer.choices.iter().map(show::choice_json).collect())
    });
    let goes = answer.choices.iter().any(|choice| choice.turn == 1);
    Ok(if goes { Outcome::Done } else { Outcome::Refused })
}

/// Says what a file tells beside its content: it goes as it is.
fn warn(path: &Path, screen: &Screen) {
    let told = fs::File::open(path).and_then(|file| traces::look(&mut BufReader::new(file)));
    match told {
        Ok(told) if told != Told::Nothing => {
            let name = screen.language.isolated(&path.display().to_string());
            screen.remark(&format!("{name}: {}", told.text_as_it_is(screen.language)));
        }
        // What cannot be read is told where it is read.
        Ok(_) | Err(_) => {}
    }
}

/// The files that a document names, which lie beside it.
fn beside(path: &Path, document: &[u8]) -> Vec<PathBuf> {
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    // A document that cannot be read names no files; the agent tells what is wrong with it.
    let named = document::files_named(document).unwrap_or_default();
    named.iter().map(|name| base.join(name)).collect()
}

fn read_document(path: &Path) -> Result<Vec<u8>, Trouble> {
    if path != Path::new("-") {
        let text = read(path, u64::try_from(document::DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX))?;
        let text = text.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(text);
        if !document::form::is_form(path) {
            return Ok(text);
        }
        return document::form::to_json(&text).map_err(|line| {
            let path = path.display();
            Trouble::usage(format!(
                "{path}: line {line} is not of its form / السطر {line} ليس بالصيغة الصحيحة"
            ))
        });
    }
    let mut document = Vec::new();
    let limit = u64::try_from(document::DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let read = io::stdin().lock().take(limit).read_to_end(&mut document);
    read.map_err(|error| Trouble::usage(format!("standard input cannot be read: {}", error.kind())))?;
    Ok(document)
}

/// The files of the command line.
pub(crate) fn attached(sending: &Sending) -> Result<Vec<api::File>, Trouble> {
    sending.attach.iter().map(|path| read_file(path, sending.attach_without_identity)).collect()
}

fn file_name(path: &Path) -> Result<String, Trouble> {
    let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    name.ok_or_else(|| Trouble::usage(format!("{} has no name that can be sent", path.display())))
}

fn read_file(path: &Path, without_identity: bool) -> Result<api::File, Trouble> {
    let file = api::File { name: file_name(path)?, without_identity, ..api::File::default() };
    if fs::metadata(path).map_err(|error| unreadable(path, &error))?.len() <= FILE_BYTES_MAX {
        return Ok(api::File { content: read(path, FILE_BYTES_MAX)?, ..file });
    }
    let path = path.canonicalize().map_err(|error| unreadable(path, &error))?;
    let path = path.to_str().map(str::to_owned);
    let path =
        path.ok_or_else(|| Trouble::usage("a large file's path must be readable as text; rename it"))?;
    Ok(api::File { path, ..file })
}

fn unreadable(path: &Path, error: &io::Error) -> Trouble {
    Trouble::usage(format!("{} cannot be read: {}", path.display(), error.kind()))
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Trouble> {
    let unreadable = |error: io::Error| unreadable(path, &error);
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > limit {
        let says = format!("{} is larger than {limit} bytes; shorten or compress it", path.display());
        return Err(Trouble::usage(says));
    }
    fs::read(path).map_err(unreadable)
}

/// Shows what became of a request; waits for the gateway when that is wanted.
pub(crate) async fn answered(
    client: &mut Client,
    answer: api::SendAnswer,
    sending: &Sending,
    screen: &Screen,
) -> Result<Outcome, Trouble> {
    use api::send_answer::Answer;
    match answer.answer {
        Some(Answer::Queued(queued)) if sending.wait => wait(client, &queued, sending, screen).await,
        Some(Answer::Queued(queued)) => {
            let others = (!queued.others.is_empty()).then(|| split_line(&queued));
            let lines = [
                format!("Written down as {}.", queued.referral),
                "It is sent, again and again, until the gateway has answered.".to_owned(),
            ];
            let lines = lines.into_iter().chain(others).chain(telephone(&queued, screen));
            screen.show(lines, || standing(&queued, "queued"));
            Ok(Outcome::Done)
        }
        Some(Answer::Flaws(flaws)) => {
            flawed(&flaws, screen);
            Ok(Outcome::Refused)
        }
        Some(Answer::Refusal(refusal)) => {
            let told = [
                "Nothing was sent: the rules here refuse it already. `--unchecked` lets the gateway decide."
                    .to_owned(),
            ];
            let lines = show::refusal_lines(&refusal).into_iter().chain(told);
            screen.show(lines, || json!({"sent": false, "refusal": show::refusal_json(&refusal)}));
            Ok(Outcome::Refused)
        }
        None => Err(Trouble::fault("the agent is of a later version than this program")),
    }
}

fn split_line(queued: &api::Queued) -> String {
    format!("The need is split; the others are {}. See `agent show`.", queued.others.join(", "))
}

fn flawed(flaws: &api::Flaws, screen: &Screen) {
    let line = |flaw: &api::Flaw| {
        let at = if flaw.pointer.is_empty() { "/" } else { &flaw.pointer };
        vec![format!("{at}"), format!("  {}", flaw.text_en), format!("  \u{2067}{}\u{2069}", flaw.text_ar)]
    };
    let lines = ["Nothing was sent: the document needs mending.".to_owned()];
    let lines = lines.into_iter().chain(flaws.flaws.iter().flat_map(line));
    screen.show(lines, || {
        let flaw = |flaw: &api::Flaw| {
            json!({"pointer": flaw.pointer, "text_en": flaw.text_en, "text_ar": flaw.text_ar})
        };
        json!({"sent": false, "flaws": flaws.flaws.iter().map(flaw).collect::<Vec<_>>()})
    });
}

async fn wait(
    client: &mut Client,
    queued: &api::Queued,
    sending: &Sending,
    screen: &Screen,
) -> Result<Outcome, Trouble> {
    let bar = screen.spinner(screen.language.pick("on its way to the gateway", "في الطريق إلى البوابة"));
    let showing = show_far(client.clone(), &bar, |status| status.uploading);
    let settled = settled(client, queued);
    let settled = tokio::select! {
        settled = tokio::time::timeout(Duration::from_secs(sending.timeout), settled) => settled,
        never = showing => match never {},
    };
    bar.finish_and_clear();
    let Ok(settled) = settled else {
        let lines = [format!(
            "{} is written down, but the gateway has not answered in time. It is sent on; see `agent status`.",
            queued.referral
        )];
        screen.show(lines.into_iter().chain(telephone(queued, screen)), || standing(queued, "queued"));
        return Ok(Outcome::NotReached);
    };
    let step = settled?;
    match (step.standing(), &step.refusal) {
        (api::Standing::Taken, _) => {
            let others = (!queued.others.is_empty()).then(|| split_line(queued));
            let lines = [format!("Taken by the gateway: {}. The receipt is here.", queued.referral)];
            let lines = lines.into_iter().chain(others).chain(telephone(queued, screen));
            screen.show(lines, || {
                let mut taken = standing(queued, "taken");
                taken["evidence"] = step.evidence.saturating_sub(1).into();
                taken
            });
            Ok(Outcome::Done)
        }
        (_, Some(refusal)) => {
            screen.show(show::refusal_lines(refusal), || {
                json!({
                    "referral": queued.referral, "envelope": queued.envelope, "standing": "refused",
                    "refusal": show::refusal_json(refusal),
                })
            });
            Ok(Outcome::Refused)
        }
        (_, None) => {
            let lines = [format!("{}: not sent, because the one before it was refused.", queued.referral)];
            screen.show(
                lines,
                || json!({"referral": queued.referral, "envelope": queued.envelope, "standing": "withdrawn"}),
            );
            Ok(Outcome::Refused)
        }
    }
}

/// Shows how far large files are, as long as somebody waits for it.
async fn show_far(
    mut client: Client,
    bar: &ProgressBar,
    part: impl Fn(api::StatusAnswer) -> Option<api::Moved>,
) -> std::convert::Infallible {
    loop {
        // Who waits for the work hears of it when the agent does not answer.
        let status = client.get_status(api::StatusRequest {}).await;
        if let Some(moved) = status.ok().and_then(|status| part(status.into_inner())) {
            if bar.length().is_none() {
                bar.set_style(show::percent());
            }
            bar.set_length(moved.all_bytes);
            bar.set_position(moved.done_bytes);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What was written down, for programs.
fn standing(queued: &api::Queued, standing: &str) -> serde_json::Value {
    json!({
        "referral": queued.referral, "code": queued.spoken_code, "envelope": queued.envelope,
        "standing": standing, "others": queued.others,
        "telephone": queued.telephone.as_ref().map(show::telephone_json),
    })
}

/// Whom to telephone, when it is an emergency.
fn telephone(queued: &api::Queued, screen: &Screen) -> Vec<String> {
    let desk = queued.telephone.as_ref();
    desk.map_or_else(Vec::new, |desk| show::telephone_lines(desk, &queued.spoken_code, screen.language))
}

/// The envelope once the gateway has answered it, or what carries its content when it had to be sealed
/// anew.
async fn settled(client: &mut Client, queued: &api::Queued) -> Result<api::Step, Trouble> {
    let watch = api::WatchRequest { referral: queued.referral.clone() };
    let mut changes = client.watch(watch).await?.into_inner();
    loop {
        let show = api::ShowCaseRequest { referral: queued.referral.clone() };
        let shown = client.show_case(show).await?.into_inner();
        let find = |digest: &str| shown.steps.iter().find(|step| step.envelope == digest);
        let mut step = find(&queued.envelope);
        while let Some(anew) = step.and_then(|step| find(&step.sealed_anew_in)) {
            step = Some(anew);
        }
        let is_settled =
            |step: &&api::Step| step.standing() != api::Standing::Queued && !step.to_be_sealed_anew;
        if let Some(step) = step.filter(is_settled) {
            return Ok(step.clone());
        }
        if changes.message().await?.is_none() {
            return Err(Trouble::not_reached("the agent has ended; start it again with `agent run`"));
        }
    }
}
