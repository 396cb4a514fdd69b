//! Commands that hand out: request, issue, renew, show. Not here: the authority's own affairs.

use std::path::Path;

use certs::{
    Authority, Certificate, Chain, Credential, Error, GatewayNames, Identity, Key, Lifetime, Malformed,
    Refusal, Request, RevocationList, Serial, UnixTime,
};
use serde_json::{Value, json};

use crate::{
    arguments::{self, Holder, Issue, Renew, Show},
    report::{self, Report},
};

pub(crate) fn request(arguments: &arguments::Request) -> Result<Report, Error> {
    let (key, made) = if arguments.key.exists() {
        (Key::load(&arguments.key)?, false)
    } else {
        let key = Key::generate()?;
        key.save(&arguments.key)?;
        (key, true)
    };
    let request = key.request()?;
    request.save(&arguments.out)?;
    let word = if made { "Made" } else { "Used" };
    let lines = [
        format!("{word} the key {}, which never leaves this machine.", report::path(&arguments.key)),
        format!(
            "Wrote {}: send it to the authority, and tell them over another channel:",
            report::path(&arguments.out)
        ),
        format!("key's SHA-256: {}", request.key_digest()),
    ];
    Ok(Report::new(&lines, json!({ "made_key": made, "request": report::request_json(&request) })))
}

pub(crate) fn issue(arguments: &Issue, now: UnixTime) -> Result<Report, Error> {
    let mut authority = Authority::open(&arguments.folder)?;
    let identity = &arguments.identity;
    let names = arguments.name.iter().cloned();
    match identity {
        Identity::Gateway => {
            let names = GatewayNames::new(names)?;
            hand_out(&arguments.holder, now, |request, lifetime| {
                authority.issue_gateway(&names, request, lifetime, now)
            })
        }
        // Left out in silence they would be missed.
        Identity::Agency { .. } | Identity::Staff { .. } if !arguments.name.is_empty() => {
            Err(Refusal::NamesForGatewayOnly.into())
        }
        Identity::Agency { .. } | Identity::Staff { .. } => {
            hand_out(&arguments.holder, now, |request, lifetime| {
                authority.issue(identity, request, lifetime, now)
            })
        }
    }
}

pub(crate) fn renew(arguments: &Renew, now: UnixTime) -> Result<Report, Error> {
    let mut authority = Authority::open(&arguments.folder)?;
    let serial = match (&arguments.serial, &arguments.certificate) {
        (Some(serial), _) => serial.clone(),
        (None, Some(file)) => serial_of(file)?,
        (None, None) => return Err(Refusal::NotIssued.into()),
    };
    hand_out(&arguments.holder, now, |request, lifetime| authority.renew(&serial, request, lifetime, now))
}

fn serial_of(file: &Path) -> Result<Serial, Error> {
    let first = read_certificates(file)?.into_iter().next();
    Ok(first.ok_or(Malformed::Certificate)?.serial)
}

fn hand_out(
    holder: &Holder,
    now: UnixTime,
    certify: impl FnOnce(&Request, Lifetime) -> Result<Chain, Error>,
) -> Result<Report, Error> {
    let lifetime = Lifetime::from_days(holder.days);
    let (chain, place) = match (&holder.request, &holder.out, &holder.new_key) {
        (Some(file), Some(out), _) => {
            let request = Request::read(&read(file)?)?;
            let chain = certify(&request, lifetime)?;
            chain.save(out)?;
            (chain, report::path(out))
        }
        (_, _, Some(folder)) => {
            // Before anything is issued.
            Credential::check_free(folder)?;
            let key = Key::generate()?;
            let chain = certify(&key.request()?, lifetime)?;
            Credential::new(chain.clone(), key).save(folder)?;
            (chain, report::path(folder))
        }
        (Some(_) | None, _, None) => return Err(Malformed::Request.into()),
    };
    let certificate = &chain.certificate;
    let lines = [format!("Wrote {place}."), report::certificate_text(certificate, now)];
    Ok(Report::new(&lines, report::certificate_json(certificate, now)))
}

pub(crate) fn show(arguments: &Show, now: UnixTime) -> Result<Report, Error> {
    let mut lines = Vec::new();
    let mut found: Vec<Value> = Vec::new();
    for file in &arguments.files {
        let bytes = read(file)?;
        if let Ok(certificates) = Certificate::read_chain(&bytes) {
            lines.extend(certificates.iter().map(|c| report::certificate_text(c, now)));
            found.extend(certificates.iter().map(|c| report::certificate_json(c, now)));
        } else if let Ok(lists) = RevocationList::read_all(&bytes) {
            lines.extend(lists.iter().map(|list| report::list_text(list, now)));
            found.extend(lists.iter().map(|list| report::list_json(list, now)));
        } else {
            let request = Request::read(&bytes).map_err(|error| match error {
                Error::Malformed(_) => Malformed::Unknown.into(),
                Error::Refusal(_) | Error::Fault(_) => error,
            })?;
            lines.push(report::request_text(&request));
            found.push(report::request_json(&request));
        }
    }
    Ok(Report::new(&lines, Value::Array(found)))
}

/// Reads a file of certificates.
pub(crate) fn read_certificates(file: &Path) -> Result<Vec<Certificate>, Error> {
    Ok(Certificate::read_chain(&read(file)?)?)
}

/// The longest file that is read: PEM of the longest revocation list.
const FILE_BYTES_MAX: usize = 2 * certs::CRL_BYTES_MAX;

/// Reads a file of any of the kinds that there are.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Error> {
    certs::read_file(file, FILE_BYTES_MAX)
}
