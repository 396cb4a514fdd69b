//! Acts in a referral. Not here: which are possible (`proto::lifecycle`).

use std::path::Path;

use agent::api;
use proto::{
    lifecycle::{Act, Status},
    payload::household,
};
use serde_json::{Map, Value, json};

use super::{
    arguments::ActCommand,
    joining::read_text,
    outcome::{Outcome, Trouble},
    sending::{Client, answered, attached, client},
    show::Screen,
};

pub(crate) async fn act(folder: &Path, command: &ActCommand, screen: &Screen) -> Result<Outcome, Trouble> {
    let (act, acting) = command.parts();
    let request = api::ActRequest {
        referral: acting.referral.clone(),
        act: act.number(),
        detail: detail(command)?,
        files: attached(&acting.sending)?,
        idempotency_key: acting.sending.key.clone(),
        unchecked: acting.sending.unchecked,
    };
    let mut client = client(folder).await?;
    let others = if acting.all { others(&mut client, &acting.referral, act).await? } else { Vec::new() };
    let answer = client.act(request.clone()).await?.into_inner();
    let mut outcome = answered(&mut client, answer, &acting.sending, screen).await?;
    for referral in others {
        // One key is one request: each has its own.
        let key = Some(&request.idempotency_key).filter(|key| !key.is_empty());
        let idempotency_key = key.map_or_else(String::new, |key| format!("{key}/{referral}"));
        let answer = client.act(api::ActRequest { referral, idempotency_key, ..request.clone() }).await?;
        let one = answered(&mut client, answer.into_inner(), &acting.sending, screen).await?;
        outcome = if one == Outcome::Done { outcome } else { one };
    }
    Ok(outcome)
}

/// The other referrals of the thread, or of the split need, that go on. A withdrawal of consent reaches those
/// that are over too.
async fn others(client: &mut Client, referral: &str, act: Act) -> Result<Vec<String>, Trouble> {
    let show = api::ShowCaseRequest { referral: referral.to_owned() };
    let tied = client.show_case(show).await?.into_inner().tied;
    let goes_on = |tied: &api::Tied| {
        let is_open = Status::parse(tied.status, "status").is_ok_and(|status| !status.is_final());
        tied.tie() == api::Tie::Split && (is_open || act == Act::WithdrawConsent)
    };
    Ok(tied.into_iter().filter(goes_on).map(|tied| tied.referral).collect())
}

/// The detail that is sealed: what was said on the command line, or a file.
fn detail(command: &ActCommand) -> Result<Vec<u8>, Trouble> {
    let (_, acting) = command.parts();
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    match command {
        ActCommand::Decline(with) | ActCommand::Fail(with) => {
            set("reason", with.reason.as_str().into());
            if let Some(told) = told_of("reason", &with.persons)? {
                set("outcomes", told);
            }
        }
        ActCommand::DeliverService(with) => {
            if let Some(told) = told_of("outcome", &with.persons)? {
                set("outcomes", told);
            }
        }
        ActCommand::Complete(with) => {
            let codes: Vec<_> = with.persons.iter().filter_map(|one| Some(one.split_once('=')?.1)).collect();
            let all = with.outcome.as_deref().or_else(|| household::outcome_of_all(&codes));
            set("outcome", all.unwrap_or("service_received").into());
            if let Some(told) = told_of("outcome", &with.persons)? {
                set("outcomes", told);
            }
        }
        ActCommand::Schedule(with) => {
            if let Some(date) = &with.date {
                set("appointment", date.as_str().into());
            }
        }
        ActCommand::Disclose(with) | ActCommand::ChangeContact(with) => {
            if let Some(file) = &with.file {
                return read_text(file).map(String::into_bytes);
            }
        }
        ActCommand::See(_)
        | ActCommand::Accept(_)
        | ActCommand::Waitlist(_)
        | ActCommand::NoShow(_)
        | ActCommand::Depart(_)
        | ActCommand::Arrive(_)
        | ActCommand::Start(_)
        | ActCommand::Hold(_)
        | ActCommand::Resume(_)
        | ActCommand::RequestCancel(_)
        | ActCommand::ConfirmCancel(_)
        | ActCommand::RefuseCancel(_)
        | ActCommand::Recall(_)
        | ActCommand::ConfirmPurge(_)
        | ActCommand::WithdrawConsent(_)
        | ActCommand::ConfirmWithdrawal(_)
        | ActCommand::RequestInformation(_)
        | ActCommand::GiveInformation(_)
        | ActCommand::OfferTransfer(_)
        | ActCommand::AcceptTransfer(_)
        | ActCommand::DeclineTransfer(_)
        | ActCommand::EnteredInError(_)
        | ActCommand::Note(_) => {}
    }
    if let Some(note) = &acting.note {
        set("note", note.as_str().into());
    }
    Ok(if fields.is_empty() { Vec::new() } else { Value::Object(fields).to_string().into_bytes() })
}

/// What came of it for single persons, as it is said on the command line; none when nothing is said.
fn told_of(field: &str, persons: &[String]) -> Result<Option<Value>, Trouble> {
    let told = persons.iter().map(|one| {
        let (person, code) = one
            .split_once('=')
            .ok_or_else(|| Trouble::usage("say --person as a number and a code: p2=could_not_contact"))?;
        Ok(json!({"person": person, field: code}))
    });
    let told = told.collect::<Result<Vec<_>, Trouble>>()?;
    Ok(Some(told).filter(|told| !told.is_empty()).map(Value::from))
}
