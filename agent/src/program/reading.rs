//! Reading: inbox, cases, timelines, receipts, status. Not here: how it looks (`show`).

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use agent::{
    api,
    daemon::Files,
    network::Network,
    proof,
    words::{self, Language},
};
use indicatif::ProgressBar;
use proto::{
    count::{Adjective, Noun},
    ids::PartClass,
};
use serde_json::{Value, json};

use super::{
    alarms,
    arguments::{Inbox, OfReferral, Receipt, Show, Verify},
    joining::read_text,
    notices,
    outcome::{Outcome, Trouble},
    rotation,
    sending::{Client, client},
    show::{self, Screen, moment},
};

pub(crate) async fn inbox(folder: &Path, inbox: &Inbox, screen: &Screen) -> Result<Outcome, Trouble> {
    let request = api::ListCasesRequest { incoming_only: !inbox.sent, open_only: !inbox.all };
    let cases = client(folder).await?.list_cases(request).await?.into_inner().cases;
    if cases.is_empty() {
        screen.remark(screen.language.pick("Nothing here.", "لا يوجد شيء."));
    }
    let lines = cases.iter().map(|case| show::case_line(case, screen.language));
    screen.show(lines, || Value::Array(cases.iter().map(show::case_json).collect()));
    Ok(Outcome::Done)
}

pub(crate) async fn show(folder: &Path, asked: &Show, screen: &Screen) -> Result<Outcome, Trouble> {
    let request = api::ShowCaseRequest { referral: asked.referral.clone() };
    let mut client = client(folder).await?;
    let shown = client.show_case(request).await?.into_inner();
    let summary = shown.summary.ok_or_else(|| Trouble::usage("there is no such referral here"))?;
    if let Some(folder) = &asked.save {
        let bar = screen.bar();
        save(&mut client, &summary.referral, folder, &shown.parts, &bar).await?;
        bar.finish_and_clear();
    }
    let language = screen.language;
    let possible: Vec<_> = show::case_json(&summary)["legal_acts"]
        .as_array()
        .map(|acts| acts.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default();
    let possible = format!("{}: {}", language.pick("Possible now", "المتاح الآن"), possible.join(", "));
    let refusals = shown.steps.iter().filter_map(|step| step.refusal.as_ref()).flat_map(show::refusal_lines);
    let telephone = shown.telephone.as_ref();
    let telephone = telephone.map(|desk| show::telephone_lines(desk, &summary.spoken_code, language));
    let lines = [show::case_line(&summary, language)]
        .into_iter()
        .chain(show::erased_line(&summary, language))
        .chain(telephone.into_iter().flatten())
        .chain(show::safe_contact_lines(&shown.parts, language))
        .chain(show::outcome_lines(&shown.parts, language))
        .chain(shown.tied.iter().map(|tied| show::tied_line(tied, language)))
        .chain(shown.steps.iter().map(|step| show::step_line(step, language)))
        .chain(refusals)
        .chain(shown.told.iter().map(|entry| show::entry_line(entry, language)))
        .chain(shown.parts.iter().flat_map(|part| show::part_lines(part, language)))
        .chain([possible]);
    screen.show(lines, || {
        let step = |step: &api::Step| {
            json!({
                "envelope": step.envelope,
                "from": step.from,
                "to": step.to,
                "act": proto::lifecycle::Act::parse(step.act, "act").map(words::verb).ok(),
                "attempt": step.attempt,
                "created_at_ms": step.created_at_ms,
                "standing": step.standing().as_str_name().trim_start_matches("STANDING_").to_ascii_lowercase(),
                "evidence": step.evidence.checked_sub(1),
                "refusal": step.refusal.as_ref().map(show::refusal_json),
                "sealed_anew_in": Some(&step.sealed_anew_in).filter(|digest| !digest.is_empty()),
                "to_be_sealed_anew": step.to_be_sealed_anew,
            })
        };
        json!({
            "case": show::case_json(&summary),
            "steps": shown.steps.iter().map(step).collect::<Vec<_>>(),
            "tied": shown.tied.iter().map(show::tied_json).collect::<Vec<_>>(),
            "outcomes": show::outcomes_json(&shown.parts),
            "parts": shown.parts.iter().map(show::part_json).collect::<Vec<_>>(),
            "told": shown.told.iter().map(show::entry_json).collect::<Vec<_>>(),
            "telephone": shown.telephone.as_ref().map(show::telephone_json),
        })
    });
    Ok(Outcome::Done)
}

/// Writes attachments, for their owner only. Their names were checked when they were opened; the
/// part's number keeps two of one name apart.
async fn save(
    client: &mut Client,
    referral: &str,
    folder: &Path,
    parts: &[api::Part],
    bar: &ProgressBar,
) -> Result<(), Trouble> {
    make_folder(folder)?;
    let attachments =
        parts.iter().filter(|part| PartClass::parse(part.class, "class") == Ok(PartClass::Attachment));
    let attachments: Vec<_> = attachments.filter(|part| part.not_opened.is_empty()).collect();
    let apart = attachments.iter().filter(|part| part.kept() == api::Kept::Apart);
    bar.set_length(apart.map(|part| part.content_bytes).sum());
    for part in attachments {
        let envelope = part.envelope.get(..8).unwrap_or_default();
        let name = format!("{envelope}-{}-{}", part.part_id, part.file_name);
        match part.kept() {
            api::Kept::Unspecified => write(&folder.join(name), &part.content)?,
            api::Kept::Apart => save_apart(client, referral, part, &folder.join(name), bar).await?,
            api::Kept::Not => {}
        }
    }
    Ok(())
}

/// Writes a large attachment as it is opened. It gets its name only when all of it is there and
/// right.
async fn save_apart(
    client: &mut Client,
    referral: &str,
    part: &api::Part,
    path: &Path,
    bar: &ProgressBar,
) -> Result<(), Trouble> {
    let request = api::ReadPartRequest {
        referral: referral.to_owned(),
        envelope: part.envelope.clone(),
        part_id: part.part_id,
    };
    let half = path.with_added_extension("incomplete");
    let unwritten = |error: io::Error| unwritten(path, &error);
    let mut file = create(&half).map_err(unwritten)?;
    let mut runs = client.read_part(request).await?.into_inner();
    loop {
        match runs.message().await {
            Ok(Some(run)) => {
                file.write_all(&run.chunk).map_err(unwritten)?;
                bar.inc(u64::try_from(run.chunk.len()).unwrap_or_default());
            }
            Ok(None) => break,
            Err(status) => {
                // Half of it is worth nothing.
                drop(fs::remove_file(&half));
                return Err(status.into());
            }
        }
    }
    file.sync_all().and_then(|()| fs::rename(&half, path)).map_err(unwritten)
}

fn create(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

fn unwritten(path: &Path, error: &io::Error) -> Trouble {
    Trouble::fault(format!("{} cannot be written: {}", path.display(), error.kind()))
}

fn make_folder(folder: &Path) -> Result<(), Trouble> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Trouble::fault(format!("{} cannot be made: {}", folder.display(), error.kind())))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    let written = create(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| unwritten(path, &error))
}

pub(crate) async fn timeline(folder: &Path, asked: &OfReferral, screen: &Screen) -> Result<Outcome, Trouble> {
    let request = api::TimelineRequest { referral: asked.referral.clone() };
    let timeline = client(folder).await?.get_timeline(request).await?.into_inner();
    if !timeline.complete {
        screen.remark(screen.language.pick(
            "The gateway gave no timeline; this is what is held here.",
            "لم تقدّم البوابة السجل الزمني، وهذا هو المحفوظ هنا.",
        ));
    }
    let lines = timeline.entries.iter().map(|entry| show::entry_line(entry, screen.language));
    screen.show(lines, || {
        let entries: Vec<_> = timeline.entries.iter().map(show::entry_json).collect();
        json!({"complete": timeline.complete, "entries": entries})
    });
    Ok(Outcome::Done)
}

pub(crate) async fn receipts(folder: &Path, asked: &Receipt, screen: &Screen) -> Result<Outcome, Trouble> {
    let request = api::ReceiptsRequest { referral: asked.referral.clone() };
    let receipts = client(folder).await?.get_receipts(request).await?.into_inner().receipts;
    let Some(first) = receipts.first() else {
        return Err(Trouble::usage("there is no receipt of this referral yet; see `agent status`"));
    };
    let Some(out) = &asked.out else {
        screen.show([first.file.trim_end().to_owned()], || json!({"index": first.index, "file": first.file}));
        return Ok(Outcome::Done);
    };
    make_folder(out)?;
    let mut written = Vec::new();
    for receipt in &receipts {
        // The number of one that the gateway has lost in a restore stands once more.
        let same = |(_, one): &&(_, &api::ReceiptFile)| one.index == receipt.index;
        let name = match written.iter().filter(same).count() {
            0 => format!("receipt-{}.tlog-proof", receipt.index),
            before => format!("receipt-{}-{}.tlog-proof", receipt.index, before + 1),
        };
        let path = out.join(name);
        write(&path, receipt.file.as_bytes())?;
        written.push((path, receipt));
    }
    let lines = written.iter().map(|(path, receipt)| {
        format!("{}  {}  {}", path.display(), moment(receipt.time_ms), show::event_code(receipt.event))
    });
    screen.show(lines, || {
        let file = |(path, receipt): &(std::path::PathBuf, &api::ReceiptFile)| {
            json!({"file": path, "index": receipt.index, "event": show::event_code(receipt.event)})
        };
        Value::Array(written.iter().map(file).collect())
    });
    Ok(Outcome::Done)
}

/// Needs no agent and no connection.
pub(crate) fn verify(folder: &Path, asked: &Verify, screen: &Screen) -> Result<Outcome, Trouble> {
    let network = match &asked.network {
        Some(path) => Network::parse(&read_text(path)?).map_err(|fault| Trouble::of(&fault))?,
        None => Files::open(folder).map_err(|fault| Trouble::of(&fault))?.network,
    };
    let policy = network.policy().map_err(|fault| Trouble::of(&fault))?;
    let mut all_good = true;
    let mut lines = Vec::new();
    let mut values = Vec::new();
    for path in &asked.files {
        match proof::verify_file(&read_text(path)?, &policy) {
            Ok((receipt, checkpoint)) => {
                let record = receipt.record();
                let event = show::event_code(record.what.event.number());
                let at = moment(record.place.time.0);
                let envelope = record.what.envelope.map(|digest| digest.to_string());
                lines.push(format!(
                    "{}: good: {event} at {at}, entry {} of {} in {}",
                    path.display(),
                    record.place.index,
                    checkpoint.size,
                    checkpoint.origin
                ));
                values.push(json!({
                    "file": path, "good": true, "event": event, "index": record.place.index,
                    "time_ms": record.place.time.0, "envelope": envelope, "log": checkpoint.origin.as_str(),
                    "size": checkpoint.size,
                }));
            }
            Err(bad) => {
                all_good = false;
                lines.push(format!("{}: PROVES NOTHING: {bad}", path.display()));
                values.push(json!({"file": path, "good": false, "error": bad.to_string()}));
            }
        }
    }
    screen.show(lines, || Value::Array(values));
    Ok(if all_good { Outcome::Done } else { Outcome::Refused })
}

pub(crate) async fn status(folder: &Path, screen: &Screen) -> Result<Outcome, Trouble> {
    let status = client(folder).await?.get_status(api::StatusRequest {}).await?.into_inner();
    let since = moment(status.since_ms);
    let link = if status.connected {
        format!("up since {since}")
    } else {
        format!("down since {since}: {}", status.why)
    };
    let language = screen.language;
    let sealing = (!status.may_seal).then(|| sealing_stopped(&status, language).to_owned());
    let lines = [
        format!("{} in {}", status.agency, status.network),
        format!("link: {link}"),
        certificate_line(&status, language),
        format!(
            "{} {}",
            language.pick("for the gateway:", "إلى البوابة:"),
            words::counted_that(Noun::Envelope, status.waiting, Adjective::Waiting, language)
        ),
        words::counted(Noun::Referral, status.cases, language),
        format!(
            "{} {}",
            language.pick("directory:", "الدليل:"),
            words::counted(Noun::Entry, status.directory_size, language)
        ),
    ];
    let ways = status.notices.iter().flat_map(|way| notices::way_lines(way, screen));
    let alarms = status.alarms.iter().flat_map(|alarm| alarms::whole(alarm, language));
    let renewal = status.renewal.iter().flat_map(|renewal| renewal_lines(renewal, language));
    let rotating = status.rotation.iter().flat_map(|it| rotation::lines(it, language));
    let exchange = status.exchange.iter().flat_map(|exchange| exchange_lines(exchange, language));
    let again = (status.going_again > 0).then(|| {
        let label = language
            .pick("pushed again, since the gateway was restored:", "يُعاد إرسالها بعد استعادة البوابة:");
        format!("  {label} {}", words::counted(Noun::Envelope, status.going_again, language))
    });
    let put_off = status.put_off.iter().flat_map(|put_off| {
        [format!("  {}: {}", put_off.code, put_off.text_en), format!("  \u{2067}{}\u{2069}", put_off.text_ar)]
    });
    let lines = lines
        .into_iter()
        .chain(again)
        .chain(put_off)
        .chain(renewal)
        .chain(rotating)
        .chain(ways)
        .chain(exchange)
        .chain(alarms)
        .chain(sealing);
    screen.show(lines, || status_json(&status));
    Ok(Outcome::Done)
}

fn status_json(status: &api::StatusAnswer) -> Value {
    json!({
        "agency": status.agency,
        "network": status.network,
        "connected": status.connected,
        "why": status.why,
        "since_ms": status.since_ms,
        "waiting": status.waiting,
        "going_again": status.going_again,
        "referrals": status.cases,
        "directory_size": status.directory_size,
        "certificate_ends_at_s": status.certificate_ends_at_s,
        "renewal": status.renewal.as_ref().map(renewal_json),
        "sealing": status.sealing.as_ref().map(moved_json),
        "uploading": status.uploading.as_ref().map(moved_json),
        "rotation": status.rotation.as_ref().map(rotation::json),
        "may_seal": status.may_seal,
        "alarms": status.alarms.iter().map(alarms::alarm_json).collect::<Vec<_>>(),
        "notices": status.notices.iter().map(notices::way_json).collect::<Vec<_>>(),
        "exchange": status.exchange.as_ref().map(exchange_json),
        "put_off": status.put_off.as_ref().map(|put_off| json!({
            "code": put_off.code,
            "since_ms": put_off.since_ms,
            "text_en": put_off.text_en,
            "text_ar": put_off.text_ar,
        })),
    })
}

/// Warnings are told in both languages.
fn exchange_lines(exchange: &api::Exchange, language: Language) -> Vec<String> {
    let isolated = |text: &str| language.isolated(text);
    let count = |count: u64| isolated(&count.to_string());
    let head = format!(
        "{} {}: {} {}, {} {}",
        language.pick("exchange folder", "مجلد التبادل"),
        isolated(&exchange.folder),
        language.pick("in the inbox", "في الوارد"),
        count(exchange.handed),
        language.pick("cannot be sent as they are", "لا يمكن إرساله كما هو"),
        count(exchange.flawed)
    );
    let not_looked = (!exchange.not_looked.is_empty()).then(|| {
        let word = language.pick("  IT CANNOT BE LOOKED AT:", "  تعذّر فحصه:");
        format!("{word} {}", isolated(&exchange.not_looked))
    });
    let warnings = exchange.warnings.iter().flat_map(|warning| {
        let code = &warning.code;
        [format!("  WARNING {code}: {}", warning.text_en), format!("  \u{2067}{}\u{2069}", warning.text_ar)]
    });
    [head].into_iter().chain(not_looked).chain(warnings).collect()
}

fn exchange_json(exchange: &api::Exchange) -> Value {
    let warning = |warning: &api::ExchangeWarning| json!({"code": warning.code, "text_en": warning.text_en, "text_ar": warning.text_ar});
    json!({
        "folder": exchange.folder,
        "flawed": exchange.flawed,
        "handed": exchange.handed,
        "not_looked": Some(&exchange.not_looked).filter(|why| !why.is_empty()),
        "warnings": exchange.warnings.iter().map(warning).collect::<Vec<_>>(),
    })
}

/// Why nothing is sealed.
fn sealing_stopped(status: &api::StatusAnswer, language: Language) -> &'static str {
    if status.to_be_proven.is_empty() || status.alarms.iter().any(|alarm| alarm.stops_sealing) {
        language.pick(
            "Nothing is sealed until people have looked: call the network's administrators by telephone, then \
             `agent settle-alarm`.",
            "لا يُختم شيء حتى ينظر الأشخاص في الأمر: اتصل بمسؤولي الشبكة هاتفيًا، ثم استعمل الأمر settle-alarm.",
        )
    } else {
        language.pick(
            "The alarm is settled. Nothing is sealed until both logs are proven to be those that were seen before.",
            "تمت تسوية الإنذار. لا يُختم شيء حتى يثبت أن السجلين هما اللذان شوهدا من قبل.",
        )
    }
}

fn certificate_line(status: &api::StatusAnswer, language: Language) -> String {
    let word = language.pick("certificate:", "الشهادة:");
    let at = |s: u64| language.isolated(&moment(s.saturating_mul(1000)));
    let stands = match status.certificate_ends_at_s {
        0 => language.pick("not used yet", "لم تُستعمل بعد").to_owned(),
        ends => format!("{} {}", language.pick("ends at", "تنتهي في"), at(ends)),
    };
    match status.renewal.as_ref().map_or(0, |renewal| renewal.due_at_s) {
        0 => format!("{word} {stands}"),
        due => format!("{word} {stands}; {} {}", language.pick("renewed from", "تُجدد اعتبارًا من"), at(due)),
    }
}

/// What fails is told in both languages: whoever reads it may have only one of them.
fn renewal_lines(renewal: &api::Renewal, language: Language) -> Vec<String> {
    if renewal.failing_since_ms == 0 {
        return Vec::new();
    }
    let word = language.pick("RENEWING THE CERTIFICATE FAILS since", "تجديد الشهادة متعذّر منذ");
    vec![
        format!("{word} {} ({}):", language.isolated(&moment(renewal.failing_since_ms)), renewal.code),
        format!("  {}", renewal.why_en),
        format!("  \u{2067}{}\u{2069}", renewal.why_ar),
    ]
}

fn moved_json(moved: &api::Moved) -> Value {
    json!({"done_bytes": moved.done_bytes, "all_bytes": moved.all_bytes})
}

fn renewal_json(renewal: &api::Renewal) -> Value {
    json!({
        "due_at_s": Some(renewal.due_at_s).filter(|at| *at > 0),
        "renewed_at_ms": Some(renewal.renewed_at_ms).filter(|at| *at > 0),
        "failing_since_ms": Some(renewal.failing_since_ms).filter(|at| *at > 0),
        "code": Some(&renewal.code).filter(|code| !code.is_empty()),
        "text_en": Some(&renewal.why_en).filter(|why| !why.is_empty()),
        "text_ar": Some(&renewal.why_ar).filter(|why| !why.is_empty()),
    })
}
