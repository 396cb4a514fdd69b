//! Backups on the command line. Not here: what is in them (`agent::backup`).

use std::{path::Path, time::Duration};

use agent::{
    api,
    backup::{self, BackupFault, Done},
};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::{runtime::Handle, time::timeout};

use super::{
    arguments::{Backup, BackupKey, Restore},
    outcome::{Outcome, Trouble},
    sending::client,
    show::{Screen, moment},
};

pub(crate) fn key(root: &Path, asked: &BackupKey, screen: &Screen) -> Result<Outcome, Trouble> {
    backup::new_key(root, &asked.out).map_err(|fault| trouble(&fault))?;
    let language = screen.language;
    let lines = [
        format!("{} {}", language.pick("Made", "أُنشئ"), language.isolated(&asked.out.display().to_string())),
        language
            .pick(
                "Keep this file where no backup lies, and twice: without it no backup can be read. Then: agent backup \
                 FOLDER",
                "احفظ هذا الملف في مكان غير مكان النسخ الاحتياطية واحفظ منه نسختين: لا تُقرأ أي نسخة احتياطية من دونه.",
            )
            .to_owned(),
    ];
    screen.show(lines, || json!({"file": asked.out}));
    Ok(Outcome::Done)
}

/// How soon an agent that has ended is noticed.
const ENDS_TIME_MAX: Duration = Duration::from_millis(50);

/// Of an agent that runs, while it holds still; or of a folder that is locked meanwhile.
pub(crate) async fn make(root: &Path, asked: &Backup, screen: &Screen) -> Result<Outcome, Trouble> {
    let locked = backup::lock(root).map_err(|fault| trouble(&fault))?;
    let mut held = None;
    if locked.is_none() {
        let mut stream = client(root).await?.hold_still(api::HoldStillRequest {}).await?.into_inner();
        stream.message().await?.ok_or_else(|| trouble(&BackupFault::NotStill))?;
        held = Some(stream);
    }
    let (runtime, from, out, bar) = (Handle::current(), root.to_owned(), asked.out.clone(), screen.bar());
    let showing = bar.clone();
    let making = tokio::task::spawn_blocking(move || {
        let is_still = || match &mut held {
            None => true,
            // Nothing more comes of it as long as the agent holds still.
            Some(stream) => {
                runtime.block_on(async { timeout(ENDS_TIME_MAX, stream.message()).await.is_err() })
            }
        };
        backup::make(&from, &out, &mut |done, all| show_on(&showing, done, all), is_still)
    });
    let done = making.await;
    drop(locked);
    bar.finish_and_clear();
    let done =
        done.map_err(|_| Trouble::fault("the backup was cut short"))?.map_err(|fault| trouble(&fault))?;
    let language = screen.language;
    let made = format!(
        "{} {}: {}",
        language.pick("Backup", "نسخة احتياطية"),
        language.isolated(&asked.out.display().to_string()),
        counts(&done, screen)
    );
    screen.show([made], || value(&asked.out, &done));
    Ok(Outcome::Done)
}

pub(crate) fn restore(root: &Path, asked: &Restore, screen: &Screen) -> Result<Outcome, Trouble> {
    let bar = screen.bar();
    let done = backup::restore(&asked.backup, &asked.key, root, &mut |done, all| show_on(&bar, done, all));
    bar.finish_and_clear();
    let done = done.map_err(|fault| trouble(&fault))?;
    let language = screen.language;
    let made_at = language.isolated(&moment(done.made_at_ms));
    let lines = [
        format!(
            "{} {}: {} ({made_at})",
            language.pick("Restored", "استُعيد"),
            language.isolated(&root.display().to_string()),
            counts(&done, screen)
        ),
        language
            .pick(
                "The agent of which this is a backup must never run again. Start this one, and when it has connected, \
                 `agent doctor` says what was sent or received after the backup and is not here.",
                "يجب ألا يعمل البرنامج الأصلي مرة أخرى أبدًا. شغّل هذا البرنامج، وبعد اتصاله يذكر أمر الفحص doctor ما أُرسل أو \
                 ورد بعد النسخة الاحتياطية وهو غير موجود هنا.",
            )
            .to_owned(),
    ];
    screen.show(lines, || value(root, &done));
    Ok(Outcome::Done)
}

fn counts(done: &Done, screen: &Screen) -> String {
    let (files, bytes) = (done.files.to_string(), done.bytes.to_string());
    let language = screen.language;
    let (files, bytes) = (language.isolated(&files), language.isolated(&bytes));
    format!("{} {files}, {} {bytes}", language.pick("files", "الملفات"), language.pick("bytes", "البايتات"))
}

fn value(folder: &Path, done: &Done) -> Value {
    json!({"folder": folder, "files": done.files, "bytes": done.bytes, "made_at_ms": done.made_at_ms})
}

fn show_on(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    bar.set_position(done);
}

fn trouble(fault: &BackupFault) -> Trouble {
    match fault {
        BackupFault::NoKey | BackupFault::Exists(_) | BackupFault::NotAKey => {
            Trouble::usage(fault.to_string())
        }
        BackupFault::Run(_)
        | BackupFault::Folder(_)
        | BackupFault::Keys(_)
        | BackupFault::NotStill
        | BackupFault::Store(_)
        | BackupFault::NoBackup(_)
        | BackupFault::NotOpened(_)
        | BackupFault::NotSealed(_)
        | BackupFault::Randomness
        | BackupFault::Io { .. } => Trouble::of(fault),
    }
}
