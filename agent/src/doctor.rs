//! `agent doctor`: what keeps this agent from working, looked at from the folder to the gateway's logs, and what to
//! do about each. Nothing is changed, and nothing of a case is read. Needs no running agent. Not here: the way to
//! the gateway (`reach`), and how it is shown (`program`).

mod reach;
#[cfg(test)]
mod tests;
mod words;

use std::path::Path;

use proto::{
    directory::{Directory, KeyPurpose},
    ids::{AgencyId, TimeMs},
};
use rustls::pki_types::UnixTime;
use tonic::transport::Channel;

use crate::{
    clock,
    credential::{Credential, NoCredential},
    daemon::{Files, RunFault},
    enrolment,
    folder::FolderFault,
    keys::Keys,
    link::directory,
    store::RESERVE_BYTES,
};
use reach::Way;

/// From here on a full disk is near.
const DISK_LOW_BYTES: u64 = 4 * RESERVE_BYTES;

/// What is looked at, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is described by its words")]
pub enum Check {
    Folder,
    Keys,
    Disk,
    Running,
    Exchange,
    Restored,
    Certificate,
    Name,
    Connection,
    Proxy,
    Tls,
    Gateway,
    Clock,
    Directory,
    PublishedKeys,
    Agreements,
}

impl Check {
    /// All of them, in their order.
    pub const ALL: [Self; 16] = [
        Self::Folder,
        Self::Keys,
        Self::Disk,
        Self::Running,
        Self::Exchange,
        Self::Restored,
        Self::Certificate,
        Self::Name,
        Self::Connection,
        Self::Proxy,
        Self::Tls,
        Self::Gateway,
        Self::Clock,
        Self::Directory,
        Self::PublishedKeys,
        Self::Agreements,
    ];
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Well.
    Good,
    /// It works, and will not for long, or not for everything.
    Warning,
    /// It does not work.
    Bad,
    /// Something before it must be mended first.
    NotChecked,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Of what.
    pub check: Check,
    /// How it stands.
    pub outcome: Outcome,
    /// A stable code.
    pub code: &'static str,
    /// What was seen: an address, a day, a file; public things only.
    pub seen: String,
}

impl Finding {
    const fn new(check: Check, outcome: Outcome, code: &'static str, seen: String) -> Self {
        Self { check, outcome, code, seen }
    }

    fn good(check: Check, seen: impl Into<String>) -> Self {
        Self::new(check, Outcome::Good, "GOOD", seen.into())
    }

    fn bad(check: Check, code: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, Outcome::Bad, code, seen.into())
    }

    fn warning(check: Check, code: &'static str, seen: impl Into<String>) -> Self {
        Self::new(check, Outcome::Warning, code, seen.into())
    }

    /// What it means, and what to do, in English.
    #[must_use]
    pub fn text_en(&self) -> &'static str {
        words::of(self.code).0
    }

    /// The same in Arabic.
    #[must_use]
    pub fn text_ar(&self) -> &'static str {
        words::of(self.code).1
    }
}

/// Looks at everything, as far as it gets. What could not be looked at says so.
pub async fn examine(root: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    look(root, &mut found).await;
    for check in Check::ALL {
        if !found.iter().any(|finding| finding.check == check) {
            found.push(Finding::new(check, Outcome::NotChecked, "NOT_CHECKED", String::new()));
        }
    }
    found.sort_by_key(|finding| finding.check);
    found
}

async fn look(root: &Path, found: &mut Vec<Finding>) {
    let files = match Files::open(root) {
        Ok(files) => files,
        Err(fault) => {
            found.push(folder_fault(&fault));
            return;
        }
    };
    found.push(Finding::good(Check::Folder, root.display().to_string()));
    let keys = Keys::load(&files.folder);
    match &keys {
        Ok(_) => found.push(Finding::good(Check::Keys, "")),
        Err(fault) => found.push(Finding::bad(Check::Keys, "KEYS_NOT_READ", fault.to_string())),
    }
    found.push(disk(root));
    found.push(running(&files));
    exchange(&files, found);
    found.push(restored(&files));
    let credential = files.credential();
    found.push(certificate(credential.as_ref()));
    let way = Way::of(&files, credential.as_ref().ok());
    let Some(channel) = way.look(found).await else {
        return;
    };
    if let Some(directory) = logs(&files, &channel, found).await {
        let me = &files.settings.agency;
        if let Ok(keys) = &keys {
            found.push(published(&directory, me, keys));
        }
        found.push(agreements(&directory, me, clock::now()));
    }
}

fn folder_fault(fault: &RunFault) -> Finding {
    let code = match fault {
        RunFault::Folder(FolderFault::Loose(_)) => "PERMISSIONS_LOOSE",
        RunFault::Folder(FolderFault::Foreign(_)) => "FOREIGN_OWNER",
        RunFault::Settings(_) => "SETTINGS_NOT_READ",
        RunFault::Network(_) => "NETWORK_NOT_READ",
        RunFault::Folder(_)
        | RunFault::NotText(_)
        | RunFault::Keys(_)
        | RunFault::Store(_)
        | RunFault::Socket(_) => "FOLDER_NOT_READ",
    };
    Finding::bad(Check::Folder, code, fault.to_string())
}

fn disk(root: &Path) -> Finding {
    let Ok(space) = rustix::fs::statvfs(root) else {
        return Finding::bad(Check::Disk, "DISK_NOT_READ", root.display().to_string());
    };
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let seen = format!("{} MiB", free / (1024 * 1024));
    if free < RESERVE_BYTES {
        Finding::bad(Check::Disk, "DISK_FULL", seen)
    } else if free < DISK_LOW_BYTES {
        Finding::warning(Check::Disk, "DISK_LOW", seen)
    } else {
        Finding::good(Check::Disk, seen)
    }
}

fn running(files: &Files) -> Finding {
    let socket = files.folder.socket();
    if std::os::unix::net::UnixStream::connect(&socket).is_ok() {
        Finding::good(Check::Running, "")
    } else {
        Finding::warning(Check::Running, "NOT_RUNNING", "")
    }
}

/// Each warning by itself; nothing to say of a folder that nobody asked for.
fn exchange(files: &Files, found: &mut Vec<Finding>) {
    let settings = files.settings.exchange.as_ref();
    let warnings =
        settings.map(|settings| crate::exchange::warnings(&files.folder, settings)).unwrap_or_default();
    if warnings.is_empty() {
        found.push(Finding::good(Check::Exchange, ""));
    }
    found.extend(warnings.iter().map(|warning| Finding::warning(Check::Exchange, warning.code(), "")));
}

/// What a restored backup misses, by its referrals.
fn restored(files: &Files) -> Finding {
    let Some(restored) = crate::restored::read(&files.folder) else {
        return Finding::good(Check::Restored, "");
    };
    let mut referrals: Vec<_> = restored.missing.into_iter().map(|one| one.referral).collect();
    referrals.sort_unstable();
    referrals.dedup();
    if referrals.is_empty() {
        let made = crate::document::day_of(TimeMs(restored.backup_made_at_ms));
        Finding::warning(Check::Restored, "RESTORED", made)
    } else {
        Finding::bad(Check::Restored, "RESTORED_AND_MISSING", referrals.join(", "))
    }
}

fn certificate(credential: Result<&Credential, &crate::link::connection::NotConnected>) -> Finding {
    let fault = |seen: String| Finding::bad(Check::Certificate, "CERTIFICATE_NOT_USABLE", seen);
    let credential = match credential {
        Ok(credential) => credential,
        Err(crate::link::connection::NotConnected::Credential(NoCredential::Folder(missing))) => {
            return Finding::bad(Check::Certificate, "CERTIFICATE_MISSING", missing.to_string());
        }
        Err(other) => return fault(other.to_string()),
    };
    let Ok(lasts) = credential.chain.lasts_unix_s() else {
        return fault(String::new());
    };
    let until = crate::document::day_of(TimeMs(lasts.end.saturating_mul(1000)));
    let third = lasts.end.saturating_sub(lasts.start) / 3;
    // A little later than it is renewed: by then it should have been.
    if UnixTime::now().as_secs() > lasts.end.saturating_sub(third / 2) {
        Finding::warning(Check::Certificate, "CERTIFICATE_ENDS_SOON", until)
    } else {
        Finding::good(Check::Certificate, until)
    }
}

/// The whole directory, proven as a new agent would.
async fn logs(files: &Files, channel: &Channel, found: &mut Vec<Finding>) -> Option<Directory> {
    match directory::whole(&files.network, &files.settings.agency, channel).await {
        Ok(replica) => {
            found.push(Finding::good(Check::Directory, replica.log().size().to_string()));
            Some(replica.directory().clone())
        }
        Err(broken) => {
            found.push(Finding::bad(Check::Directory, "DIRECTORY_NOT_FOLLOWED", broken.to_string()));
            None
        }
    }
}

fn published(directory: &Directory, me: &AgencyId, keys: &Keys) -> Finding {
    let (now, signing) = (clock::now(), keys.signing.public().id());
    if !directory.key_in_force(me, &signing, KeyPurpose::Signing, now) {
        return Finding::bad(Check::PublishedKeys, "SIGNING_KEY_NOT_IN_FORCE", signing.to_string());
    }
    match enrolment::missing(directory, me, keys).next() {
        Some(key) => Finding::warning(Check::PublishedKeys, "KEY_NOT_PUBLISHED", key.id().to_string()),
        None => Finding::good(Check::PublishedKeys, ""),
    }
}

fn agreements(directory: &Directory, me: &AgencyId, now: TimeMs) -> Finding {
    let all = directory.agreements_of(me);
    match all.filter(|(digest, _)| directory.standing(digest, now).is_ok()).count() {
        0 => Finding::warning(Check::Agreements, "NO_AGREEMENT_IN_FORCE", ""),
        count => Finding::good(Check::Agreements, count.to_string()),
    }
}
