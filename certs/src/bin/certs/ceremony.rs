//! Commands of a ceremony: what the root does, and what the network's machine does before and after. Not
//! here: what is decided at one; see the room's README.

use std::path::{Path, PathBuf};

use certs::{
    Authority, Certificate, Error, Issued, Lifetime, Permitted, PermittedName, Reason, Request,
    RevocationList, UnixTime,
};
use serde_json::{Value, json};

use crate::{
    arguments::{Ceremony, Root},
    credentials::read,
    report::{self, Report},
};

pub(crate) fn network(step: &Ceremony, now: UnixTime) -> Result<Report, Error> {
    match step {
        Ceremony::Prepare { folder, out } => prepare(folder, out),
        Ceremony::Finish { folder, files } => finish(folder, files, now),
    }
}

pub(crate) fn root(step: &Root, now: UnixTime) -> Result<Report, Error> {
    match step {
        Root::Sign { folder, request, out, permit, days } => {
            sign(folder, request, out, permit, Lifetime::from_days(*days), now)
        }
        Root::Crl { folder, out } => crl(folder, out, now),
        Root::Revoke { folder, number, reason, out } => revoke(folder, *number, *reason, out, now),
        Root::List(folder) => list(&folder.folder, now),
    }
}

fn prepare(folder: &Path, out: &Path) -> Result<Report, Error> {
    let request = Authority::open(folder)?.request_issuing()?;
    request.save(out)?;
    let lines = [
        format!("Wrote {}. Take it to the root, and compare there:", report::path(out)),
        format!("key's SHA-256: {}", request.key_digest()),
    ];
    Ok(Report::new(&lines, report::request_json(&request)))
}

fn finish(folder: &Path, files: &[PathBuf], now: UnixTime) -> Result<Report, Error> {
    let mut authority = Authority::open(folder)?;
    let mut lines = Vec::new();
    let mut taken: Vec<Value> = Vec::new();
    for file in files {
        let bytes = read(file)?;
        if let Ok(lists) = RevocationList::read_all(&bytes) {
            for list in lists {
                authority.install_root_list(&list, now)?;
                lines.push(format!("Took the root's revocation list {}.", list.number));
                taken.push(report::list_json(&list, now));
            }
        } else {
            for certificate in Certificate::read_chain(&bytes)? {
                authority.install_issuing(&certificate, now)?;
                lines.push(format!("Issuing under {} from now on.", certificate.subject));
                taken.push(report::certificate_json(&certificate, now));
            }
        }
    }
    Ok(Report::new(&lines, Value::Array(taken)))
}

fn sign(
    folder: &Path,
    request: &Path,
    out: &Path,
    permit: &[PermittedName],
    lifetime: Lifetime,
    now: UnixTime,
) -> Result<Report, Error> {
    let mut root = certs::Root::open(folder)?;
    let request = Request::read(&read(request)?)?;
    let permitted = if permit.is_empty() {
        root.last_permitted()?
    } else {
        Permitted::new(root.network(), permit.iter().cloned())?
    };
    let made = root.sign_issuing(&request, &permitted, lifetime, now)?;
    made.save(out)?;
    let lines = [
        format!("Wrote {}, for the key {}:", report::path(out), request.key_digest()),
        report::certificate_text(&made, now),
    ];
    Ok(Report::new(&lines, report::certificate_json(&made, now)))
}

fn crl(folder: &Path, out: &Path, now: UnixTime) -> Result<Report, Error> {
    let mut root = certs::Root::open(folder)?;
    let list = root.sign_list(now)?;
    list.save(out)?;
    let lines = [format!("Wrote {}:", report::path(out)), report::list_text(list, now)];
    Ok(Report::new(&lines, report::list_json(list, now)))
}

fn revoke(folder: &Path, number: u32, reason: Reason, out: &Path, now: UnixTime) -> Result<Report, Error> {
    let mut root = certs::Root::open(folder)?;
    let revoked = root.revoke_issuing(number, reason, now)?;
    root.list().save(out)?;
    let lines = [
        format!(
            "Revoked issuing certificate {number} ({}), and with it everything that it issued.",
            revoked.serial
        ),
        format!("Wrote {}: `certs ceremony finish` takes it.", report::path(out)),
    ];
    let list = report::list_json(root.list(), now);
    Ok(Report::new(&lines, json!({ "revoked": report::issued_json(&revoked, now), "list": list })))
}

fn list(folder: &Path, now: UnixTime) -> Result<Report, Error> {
    let root = certs::Root::open(folder)?;
    let issued: Vec<&Issued> = root.issued().iter().collect();
    let json = issued.iter().map(|issued| report::issued_json(issued, now)).collect();
    Ok(Report::new(&report::issued_lines(&issued, now), json))
}
