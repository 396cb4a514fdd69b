//! Backups on the command line. Not here: what is in them (`agent::backup`).

use std::path::Path;

use agent::backup::{self, BackupFault, Done};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::{
    arguments::{Backup, BackupKey, Restore},
    outcome::{Outcome, Trouble},
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

pub(crate) fn make(root: &Path, asked: &Backup, screen: &Screen) -> Result<Outcome, Trouble> {
    let bar = screen.bar();
    let done = backup::make(root, &asked.out, &mut |done, all| show_on(&bar, done, all));
    bar.finish_and_clear();
    let done = done.map_err(|fault| trouble(&fault))?;
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
        BackupFault::Runs | BackupFault::NoKey | BackupFault::Exists(_) | BackupFault::NotAKey => {
            Trouble::usage(fault.to_string())
        }
        BackupFault::Run(_)
        | BackupFault::Folder(_)
        | BackupFault::Keys(_)
        | BackupFault::Store(_)
        | BackupFault::NoBackup(_)
        | BackupFault::NotOpened(_)
        | BackupFault::NotSealed(_)
        | BackupFault::Randomness
        | BackupFault::Io { .. } => Trouble::of(fault),
    }
}
