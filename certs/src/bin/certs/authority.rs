//! Commands on the authority itself: make it, revoke, sign lists, list, say what is due. Not here:
//! handing out certificates (`credentials`), the root (`ceremony`).

use certs::{
    Authority, Certificate, Error, Issued, Lifetime, Permitted, Plan, Refusal, Revoked, UnixTime, Which,
};
use serde_json::json;

use crate::{
    arguments::{Crl, Folder, Init, List, Revoke},
    credentials::read_certificates,
    report::{self, Report},
};

pub(crate) fn init(arguments: &Init, now: UnixTime) -> Result<Report, Error> {
    let network = arguments.network.clone();
    let sandbox =
        if arguments.sandbox { Permitted::sandbox(&network).as_slice().to_vec() } else { Vec::new() };
    let names = sandbox.into_iter().chain(arguments.permit.iter().cloned());
    let permitted = Permitted::new(&network, names)?;
    let mut authority = Authority::init(&arguments.folder, &Plan::new(network, permitted), now)?;
    let root = report::path(&authority.root_folder());
    let fingerprint = authority.root().fingerprint;
    let lines = [
        format!("Made the authority of {} in {}.", authority.network(), report::path(&arguments.folder)),
        format!("The root's SHA-256, for everybody to compare: {fingerprint}"),
        String::new(),
        format!(
            "Now move {root} to an encrypted medium, with a second copy elsewhere, and keep both offline."
        ),
        "Whoever has the key in it can be anybody in the network.".to_owned(),
    ];
    let duties = authority.duties(now)?;
    let json = json!({
        "network": authority.network().as_str(),
        "folder": report::path(&arguments.folder),
        "root": report::certificate_json(authority.root(), now),
        "issuing": authority.issuing().map(|c| report::certificate_json(c, now)).collect::<Vec<_>>(),
        "duties": report::duties_json(&duties),
    });
    Ok(Report::new(&lines, json))
}

pub(crate) fn revoke(arguments: &Revoke, now: UnixTime) -> Result<Report, Error> {
    let mut authority = Authority::open(&arguments.folder)?;
    let Revoked { now: fresh, before } = authority.revoke(&which(arguments)?, arguments.reason, now)?;
    let mut lines: Vec<String> = Vec::new();
    for issued in &fresh {
        lines.push(format!("Revoked {} of {}.", issued.serial, issued.holder));
    }
    for issued in &before {
        lines.push(format!("{} of {} was revoked before.", issued.serial, issued.holder));
    }
    lines.push(
        "The lists are signed: give crls.pem to every verifier. Open connections must be cut.".to_owned(),
    );
    let each = |list: &[Issued]| list.iter().map(|i| report::issued_json(i, now)).collect::<Vec<_>>();
    let json = json!({ "revoked": each(&fresh), "revoked_before": each(&before) });
    Ok(Report::new(&lines, json))
}

/// The group of the arguments says that one of them is there.
fn which(arguments: &Revoke) -> Result<Which, Error> {
    if let Some(serial) = &arguments.serial {
        return Ok(Which::Serial(serial.clone()));
    }
    if let Some(fingerprint) = &arguments.fingerprint {
        return Ok(Which::Fingerprint(*fingerprint));
    }
    if let Some(identity) = &arguments.identity {
        return Ok(Which::Identity(identity.clone()));
    }
    if let Some(agency) = &arguments.agency {
        return Ok(Which::Agency(agency.clone()));
    }
    let file = arguments.certificate.as_deref().ok_or(Refusal::NotIssued)?;
    let certificate: Certificate = read_certificates(file)?.into_iter().next().ok_or(Refusal::NotIssued)?;
    Ok(Which::Fingerprint(certificate.fingerprint))
}

pub(crate) fn crl(arguments: &Crl, now: UnixTime) -> Result<Report, Error> {
    let validity = Lifetime::from_days(arguments.days);
    let mut authority = Authority::open(&arguments.folder)?.with_crl_validity(validity)?;
    let signed = if arguments.if_due {
        authority.sign_due_crls(now)?
    } else {
        authority.sign_crls(now)?;
        true
    };
    let trust = authority.trust(now)?;
    let mut lines = vec![if signed { "Signed the lists." } else { "The lists are not due." }.to_owned()];
    for list in trust.lists() {
        lines.push(format!("{}: number {}, until {}", list.issuer, list.number, list.next_update));
    }
    if let Some(folder) = &arguments.out {
        let is_new = trust.save(folder)?;
        let word = if is_new { "Wrote root.pem and crls.pem into" } else { "Nothing is new in" };
        lines.push(format!("{word} {}.", report::path(folder)));
    }
    let lists: Vec<_> = trust.lists().iter().map(|list| report::list_json(list, now)).collect();
    let duties = authority.duties(now)?;
    let json = json!({ "signed": signed, "lists": lists, "duties": report::duties_json(&duties) });
    lines.extend(duties.iter().map(|duty| format!("Note: {duty}.")));
    Ok(Report::new(&lines, json))
}

pub(crate) fn list(arguments: &List, now: UnixTime) -> Result<Report, Error> {
    let authority = Authority::open(&arguments.folder)?;
    let wanted: Vec<&Issued> =
        authority.issued().filter(|issued| arguments.all || now <= issued.not_after).collect();
    let json = wanted.iter().map(|issued| report::issued_json(issued, now)).collect();
    Ok(Report::new(&report::issued_lines(&wanted, now), json))
}

pub(crate) fn status(arguments: &Folder, now: UnixTime) -> Result<Report, Error> {
    let mut authority = Authority::open(&arguments.folder)?;
    let duties = authority.duties(now)?;
    let issuing = authority.issuing().last();
    let until = issuing.map_or_else(|| "none".to_owned(), |certificate| certificate.not_after.to_string());
    let mut lines = vec![
        format!("network              {}", authority.network()),
        format!("root until           {}", authority.root().not_after),
        format!("root's SHA-256       {}", authority.root().fingerprint),
        format!("issuing until        {until}"),
        format!("certificates issued  {}", authority.issued().count()),
    ];
    lines.extend(duties.iter().map(|duty| format!("To do: {duty}.")));
    let json = json!({
        "network": authority.network().as_str(),
        "root": report::certificate_json(authority.root(), now),
        "issuing": issuing.map(|certificate| report::certificate_json(certificate, now)),
        "issued": authority.issued().count(),
        "duties": report::duties_json(&duties),
    });
    Ok(Report::new(&lines, json).with_well(duties.is_empty()))
}
