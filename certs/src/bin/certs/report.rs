//! What is printed: the same facts as text and as JSON. Not here: finding them out.

use std::path::Path;

use certs::{Certificate, Constraints, Duty, Issued, Request, RevocationList, UnixTime};
use serde_json::{Value, json};

/// What a command says.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) json: Value,
    /// Whether the exit code says that all is well.
    pub(crate) is_well: bool,
}

impl Report {
    /// Lines of text, and the same as JSON.
    pub(crate) fn new(lines: &[String], json: Value) -> Self {
        let text = lines.iter().fold(String::new(), |text, line| text + line + "\n");
        Self { text, json, is_well: true }
    }

    pub(crate) fn with_well(self, is_well: bool) -> Self {
        Self { is_well, ..self }
    }
}

/// Names and values, one a line, the values in one column.
fn fields(rows: &[(&str, String)]) -> String {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let line = |(name, value): &(&str, String)| format!("  {name:width$}  {value}");
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(crate) fn path(path: &Path) -> String {
    path.display().to_string()
}

/// `valid`, `revoked`, `expired` or `not yet valid`.
pub(crate) fn state(issued: &Issued, now: UnixTime) -> &'static str {
    match issued.revocation {
        Some(_) => "revoked",
        None if issued.not_after < now => "expired",
        None if now < issued.not_before => "not yet valid",
        None => "valid",
    }
}

pub(crate) fn issued_json(issued: &Issued, now: UnixTime) -> Value {
    let revocation = issued
        .revocation
        .map(|revocation| json!({ "at": revocation.at.to_string(), "reason": revocation.reason.as_str() }));
    json!({
        "serial": issued.serial.to_string(),
        "holder": issued.holder.to_string(),
        "names": issued.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sha256": issued.fingerprint.to_string(),
        "issued_at": issued.at.to_string(),
        "not_before": issued.not_before.to_string(),
        "not_after": issued.not_after.to_string(),
        "state": state(issued, now),
        "revoked": revocation,
    })
}

/// A table of what was issued.
pub(crate) fn issued_lines(list: &[&Issued], now: UnixTime) -> Vec<String> {
    let row = |state: &str, until: &str, serial: &str, holder: &str| {
        format!("{state:13}  {until:20}  {serial:32}  {holder}")
    };
    let mut lines = vec![row("STATE", "UNTIL", "SERIAL", "HOLDER")];
    for issued in list {
        let mut holder = issued.holder.to_string();
        for name in &issued.names {
            holder += &format!(" {name}");
        }
        if let Some(revocation) = issued.revocation {
            holder += &format!(" (since {}: {})", revocation.at, revocation.reason);
        }
        let (until, serial) = (issued.not_after.to_string(), issued.serial.to_string());
        lines.push(row(state(issued, now), &until, &serial, &holder));
    }
    lines
}

pub(crate) fn duties_json(duties: &[Duty]) -> Value {
    let entry = |duty: &Duty| {
        let (kind, until) = match duty {
            Duty::SignCrls => ("sign-crls", None),
            Duty::SignRootCrl(until) => ("sign-root-crl", Some(until)),
            Duty::RenewIssuing(until) => ("renew-issuing", Some(until)),
            Duty::RenewRoot(until) => ("renew-root", Some(until)),
            Duty::TakeRootOffline(_) => ("take-root-offline", None),
        };
        json!({ "duty": kind, "until": until.map(ToString::to_string), "message": duty.to_string() })
    };
    duties.iter().map(entry).collect()
}

pub(crate) fn certificate_json(certificate: &Certificate, now: UnixTime) -> Value {
    json!({
        "kind": "certificate",
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial.to_string(),
        "sha256": certificate.fingerprint.to_string(),
        "key_sha256": certificate.key_digest.to_string(),
        "uris": certificate.uris,
        "names": certificate.gateway_names.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "not_before": certificate.not_before.to_string(),
        "not_after": certificate.not_after.to_string(),
        "in_force": certificate.is_in_force(now),
        "server": certificate.server,
        "client": certificate.client,
        "authority": certificate.authority,
        "path_length": certificate.path_length,
        "constraints": certificate.constraints.as_ref().map(constraints_json),
    })
}

fn constraints_json(constraints: &Constraints) -> Value {
    json!({
        "critical": constraints.critical,
        "permitted": constraints.permitted.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "excluded": constraints.excluded.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "others": constraints.others,
    })
}

pub(crate) fn certificate_text(certificate: &Certificate, now: UnixTime) -> String {
    let force = if certificate.is_in_force(now) { "" } else { " (not in force now)" };
    let mut rows = vec![
        ("subject", certificate.subject.clone()),
        ("issuer", certificate.issuer.clone()),
        ("serial", certificate.serial.to_string()),
        ("sha-256", certificate.fingerprint.to_string()),
        ("from", certificate.not_before.to_string()),
        ("until", certificate.not_after.to_string() + force),
    ];
    rows.extend(certificate.uris.iter().map(|uri| ("uri", printable(uri))));
    rows.extend(certificate.gateway_names.iter().map(|name| ("name", printable(&name.to_string()))));
    rows.push(("may be", roles(certificate)));
    if let Some(constraints) = &certificate.constraints {
        rows.extend(constraints.permitted.iter().map(|name| ("permits", printable(&name.to_string()))));
        rows.extend(constraints.excluded.iter().map(|name| ("excludes", printable(&name.to_string()))));
        if constraints.others > 0 {
            rows.push(("constrains", format!("{} names of other kinds", constraints.others)));
        }
    }
    format!("certificate\n{}", fields(&rows))
}

fn roles(certificate: &Certificate) -> String {
    let depth = certificate.path_length.map_or(String::new(), |depth| format!(" (path length {depth})"));
    let roles = [
        (certificate.authority, format!("authority{depth}")),
        (certificate.server, "server".to_owned()),
        (certificate.client, "client".to_owned()),
    ];
    roles.into_iter().filter_map(|(is, role)| is.then_some(role)).collect::<Vec<_>>().join(", ")
}

/// A stranger's certificate may hold anything; a terminal is given none of it.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

pub(crate) fn request_json(request: &Request) -> Value {
    json!({ "kind": "request", "key_sha256": request.key_digest().to_string() })
}

pub(crate) fn request_text(request: &Request) -> String {
    let rows = [
        ("key's sha-256", request.key_digest().to_string()),
        ("signed by", "its own key; names in it are ignored".to_owned()),
    ];
    format!("request\n{}", fields(&rows))
}

pub(crate) fn list_json(list: &RevocationList, now: UnixTime) -> Value {
    json!({
        "kind": "revocation-list",
        "issuer": list.issuer,
        "number": list.number,
        "sha256": list.fingerprint.to_string(),
        "this_update": list.this_update.to_string(),
        "next_update": list.next_update.to_string(),
        "in_force": list.is_in_force(now),
        "revoked": list.serials.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

pub(crate) fn list_text(list: &RevocationList, now: UnixTime) -> String {
    let force = if list.is_in_force(now) { "" } else { " (not in force now)" };
    let mut rows = vec![
        ("issuer", list.issuer.clone()),
        ("number", list.number.to_string()),
        ("sha-256", list.fingerprint.to_string()),
        ("from", list.this_update.to_string()),
        ("until", list.next_update.to_string() + force),
    ];
    rows.extend(list.serials.iter().map(|serial| ("revokes", serial.to_string())));
    format!("revocation list\n{}", fields(&rows))
}
