//! A simulated agency: what it answers, as it is told, over its own agent's local API like any system. Not here:
//! the agent itself (`daemon`).

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt,
    path::Path,
    time::Duration,
};

use proto::lifecycle::Act;
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};
use tonic::{Status, transport::Channel};

use crate::{
    api::{self, agent_client::AgentClient},
    local,
};

/// How long to wait for an agent that does not answer.
const AGAIN: Duration = Duration::from_millis(100);
/// How a text in a case begins that says what its recipient is to answer.
pub const TAG: &str = "[sandbox:";

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// It sees and accepts.
    Accept,
    /// It sees and declines, for a reason: a code of the vocabulary of reasons.
    Decline(String),
    /// It sees, and puts her on its waiting list.
    Waitlist,
    /// It sees, and answers nothing.
    See,
    /// It answers nothing at all.
    Silent,
    /// It accepts, gives the service, and completes.
    Complete,
    /// It accepts, begins, and fails, for a reason.
    Fail(String),
}

impl Manner {
    /// All, by their words.
    pub const WORDS: [&str; 7] = ["accept", "decline", "waitlist", "see", "silent", "complete", "fail"];

    /// Of a word, and a reason where one is needed. Another word, or a reason that no vocabulary has, is none.
    #[must_use]
    pub fn parse(word: &str, reason: Option<&str>) -> Option<Self> {
        let given = reason.filter(|code| proto::vocabulary::REASONS.contains(code));
        if reason.is_some() && (given.is_none() || !matches!(word, "decline" | "fail")) {
            return None;
        }
        let or = |code: &str| given.unwrap_or(code).to_owned();
        Some(match word {
            "accept" => Self::Accept,
            "decline" => Self::Decline(or("no_capacity")),
            "waitlist" => Self::Waitlist,
            "see" => Self::See,
            "silent" => Self::Silent,
            "complete" => Self::Complete,
            "fail" => Self::Fail(or("could_not_contact")),
            _ => return None,
        })
    }

    /// What a case's texts ask for: `[sandbox: decline no_capacity]`.
    #[must_use]
    pub fn in_text(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once(TAG)?;
        let (said, _) = rest.split_once(']')?;
        let mut words = said.split_whitespace();
        let manner = Self::parse(words.next()?, words.next())?;
        words.next().is_none().then_some(manner)
    }

    /// What it does, in this order.
    const fn acts(&self) -> &'static [Act] {
        match self {
            Self::Accept => &[Act::See, Act::Accept],
            Self::Decline(_) => &[Act::See, Act::Decline],
            Self::Waitlist => &[Act::See, Act::Waitlist],
            Self::See => &[Act::See],
            Self::Silent => &[],
            Self::Complete => &[Act::See, Act::Accept, Act::Start, Act::DeliverService, Act::Complete],
            Self::Fail(_) => &[Act::See, Act::Accept, Act::Start, Act::Fail],
        }
    }

    fn detail(&self, act: Act) -> Vec<u8> {
        let detail = match (self, act) {
            (Self::Decline(reason), Act::Decline) | (Self::Fail(reason), Act::Fail) => {
                json!({"reason": reason})
            }
            (_, Act::Complete) => json!({"outcome": "service_received"}),
            _ => return Vec::new(),
        };
        detail.to_string().into_bytes()
    }
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accept => f.write_str("accept"),
            Self::Decline(reason) => write!(f, "decline {reason}"),
            Self::Waitlist => f.write_str("waitlist"),
            Self::See => f.write_str("see"),
            Self::Silent => f.write_str("silent"),
            Self::Complete => f.write_str("complete"),
            Self::Fail(reason) => write!(f, "fail {reason}"),
        }
    }
}

/// What is asked of a recipient whatever it thinks of the case.
const OWED: [Act; 3] = [Act::ConfirmPurge, Act::ConfirmWithdrawal, Act::ConfirmCancel];

/// What it does next in an attempt: of what is legal now, and not done yet.
fn next(manner: &Manner, legal: &[Act], done: &BTreeSet<Act>) -> Option<Act> {
    let owed = if *manner == Manner::Silent { &[] } else { &OWED[..] };
    owed.iter().chain(manner.acts()).find(|act| legal.contains(act) && !done.contains(act)).copied()
}

/// Asks a simulated agency to look now; it says whether there was something to do.
pub type Look = oneshot::Sender<bool>;

/// Answers what comes, for as long as it is polled. What it is told holds for all that is not answered yet.
pub async fn answer(socket: &Path, mut manner: watch::Receiver<Manner>, mut looks: mpsc::Receiver<Look>) {
    let mut memory = Memory::default();
    loop {
        if let Ok(client) = local::client(socket).await {
            let status = follow(client, &mut manner, &mut looks, &mut memory).await.err();
            tracing::debug!(code = ?status.map(|status| status.code()), "a simulated agency asks its agent again");
        }
        sleep(AGAIN).await;
    }
}

/// What it knows of the attempts that came, by referral and number.
#[derive(Default)]
struct Memory(BTreeMap<(String, u32), Attempt>);

struct Attempt {
    /// What the case itself asks for, or what it was answered.
    asked: Option<Manner>,
    done: BTreeSet<Act>,
}

async fn follow(
    mut client: AgentClient<Channel>,
    manner: &mut watch::Receiver<Manner>,
    looks: &mut mpsc::Receiver<Look>,
    memory: &mut Memory,
) -> Result<(), Status> {
    let mut asked: Option<Look> = None;
    // Watched before it is looked, so that nothing comes in between.
    let mut changes = client.watch(api::WatchRequest::default()).await?.into_inner();
    loop {
        let said = manner.borrow_and_update().clone();
        let wanted = api::ListCasesRequest { incoming_only: true, open_only: false };
        let mut acted = false;
        for case in client.list_cases(wanted).await?.into_inner().cases {
            acted |= act(&mut client, &case, &said, memory).await?;
        }
        if let Some(asked) = asked.take() {
            // Whoever asked may have left.
            let (Ok(()) | Err(_)) = asked.send(acted);
        }
        tokio::select! {
            Some(look) = looks.recv() => asked = Some(look),
            change = changes.message() => if change?.is_none() { return Ok(()) },
            changed = manner.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

async fn act(
    client: &mut AgentClient<Channel>,
    case: &api::CaseSummary,
    said: &Manner,
    memory: &mut Memory,
) -> Result<bool, Status> {
    let legal: Vec<Act> = case.legal_acts.iter().filter_map(|act| Act::parse(*act, "act").ok()).collect();
    if legal.is_empty() {
        return Ok(false);
    }
    let attempt = match memory.0.entry((case.referral.clone(), case.attempt)) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let asked = asked_in(client, &case.referral).await?;
            new.insert(Attempt { asked, done: BTreeSet::new() })
        }
    };
    let manner = attempt.asked.clone().unwrap_or_else(|| said.clone());
    let Some(act) = next(&manner, &legal, &attempt.done) else { return Ok(false) };
    let request = api::ActRequest {
        referral: case.referral.clone(),
        act: act.number(),
        detail: manner.detail(act),
        // Sent once, also when the sandbox begins again.
        idempotency_key: format!("sandbox/{}/{}/{}", case.referral, case.attempt, act.number()),
        ..Default::default()
    };
    let taken = client.act(request).await?.into_inner().answer;
    if !matches!(taken, Some(api::send_answer::Answer::Queued(_))) {
        tracing::warn!(?act, "a simulated agency could not do this");
    }
    attempt.done.insert(act);
    // What was answered stays as it was, whatever the agency is told later.
    if act != Act::See && !OWED.contains(&act) {
        attempt.asked = Some(manner);
    }
    Ok(true)
}

async fn asked_in(client: &mut AgentClient<Channel>, referral: &str) -> Result<Option<Manner>, Status> {
    let show = api::ShowCaseRequest { referral: referral.to_owned() };
    let parts = client.show_case(show).await?.into_inner().parts;
    Ok(parts.iter().find_map(|part| Manner::in_text(&String::from_utf8_lossy(&part.content))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_manner_is_said_by_its_word_and_says_it_again() {
        for word in Manner::WORDS {
            let manner = Manner::parse(word, None).unwrap();
            let said = manner.to_string();
            let mut words = said.split(' ');
            assert_eq!(Manner::parse(words.next().unwrap(), words.next()), Some(manner));
        }
        assert_eq!(
            Manner::parse("decline", Some("out_of_area")),
            Some(Manner::Decline("out_of_area".into()))
        );
        for (word, reason) in [("accept", Some("other")), ("decline", Some("nonsense")), ("dance", None)] {
            assert_eq!(Manner::parse(word, reason), None);
        }
    }

    #[test]
    fn a_case_says_by_itself_what_it_is_answered() {
        let asks = |text| Manner::in_text(text);
        assert_eq!(asks("{\"need\":\"A bed. [sandbox: silent]\"}"), Some(Manner::Silent));
        assert_eq!(asks("[sandbox: decline no_capacity]"), Some(Manner::Decline("no_capacity".into())));
        for none in ["A bed.", "[sandbox: silent", "[sandbox: dance]", "[sandbox: see me too]", "[sandbox:]"]
        {
            assert_eq!(asks(none), None, "{none}");
        }
    }

    #[test]
    fn it_does_what_is_legal_in_its_order_and_once() {
        let done = |acts: &[Act]| acts.iter().copied().collect::<BTreeSet<_>>();
        let accept = Manner::Accept;
        assert_eq!(next(&accept, &[Act::Decline, Act::Accept, Act::See], &done(&[])), Some(Act::See));
        assert_eq!(next(&accept, &[Act::Accept, Act::See], &done(&[Act::See])), Some(Act::Accept));
        assert_eq!(next(&accept, &[Act::Start, Act::Complete], &done(&[])), None);
        let complete = Manner::Complete;
        assert_eq!(next(&complete, &[Act::Start, Act::Complete], &done(&[])), Some(Act::Start));
        assert_eq!(next(&accept, &[Act::ConfirmPurge], &done(&[])), Some(Act::ConfirmPurge));
        assert_eq!(next(&Manner::Silent, &[Act::ConfirmPurge, Act::See], &done(&[])), None);
    }
}
