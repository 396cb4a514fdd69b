//! Acts in a referral. Not here: which are possible (`proto::lifecycle`).

use std::path::Path;

use agent::api;
use serde_json::{Map, Value};

use super::{
    arguments::ActCommand,
    joining::read_text,
    outcome::{Outcome, Trouble},
    sending::{answered, attached, client},
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
    let answer = client.act(request).await?.into_inner();
    answered(&mut client, answer, &acting.sending, screen).await
}

/// The detail that is sealed: what was said on the command line, or a file.
fn detail(command: &ActCommand) -> Result<Vec<u8>, Trouble> {
    let (_, acting) = command.parts();
    let mut fields = Map::new();
    let mut set = |name: &str, value: &str| drop(fields.insert(name.to_owned(), Value::from(value)));
    match command {
        ActCommand::Decline(with) | ActCommand::Fail(with) => set("reason", &with.reason),
        ActCommand::Complete(with) => set("outcome", &with.outcome),
        ActCommand::Schedule(with) => {
            if let Some(date) = &with.date {
                set("appointment", date);
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
        | ActCommand::DeliverService(_)
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
        set("note", note);
    }
    Ok(if fields.is_empty() { Vec::new() } else { Value::Object(fields).to_string().into_bytes() })
}
