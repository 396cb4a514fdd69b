//! The local API as a program of the agency's would use it: over its socket.

use std::{fs, path::PathBuf};

use proto::lifecycle::Act;
use tokio::sync::oneshot;
use tonic::Code;

use super::*;
use crate::{
    api::{agent_client::AgentClient, send_answer::Answer},
    document,
    link::tests::played::{DFWAC, Played},
};

/// An agency's agent without a link, whose directory has come.
struct Served {
    played: Played,
    client: AgentClient<Channel>,
    socket: PathBuf,
    _stop: oneshot::Sender<()>,
}

async fn served() -> Served {
    let played = Played::new();
    let office = played.office(DFWAC);
    crate::link::tests::followed(&office, &played).await;
    let socket = played.store_of(&office).with_extension("sock");
    let listener = listen(&socket).unwrap();
    let (stop, stops) = oneshot::channel::<()>();
    let folder = played.folder(DFWAC);
    tokio::spawn(Local::new(office, folder, Line::default()).serve(listener, async { drop(stops.await) }));
    let client = client(&socket).await.unwrap();
    Served { played, client, socket, _stop: stop }
}

fn good() -> api::SendRequest {
    let file = |file: File| match file.content {
        Content::Here(content) => api::File { name: file.name, content, ..api::File::default() },
        Content::Apart { .. } | Content::Veiled(_) => panic!("it is here"),
    };
    api::SendRequest {
        document: document::tests::good().to_string().into_bytes(),
        files: document::tests::files().into_iter().map(file).collect(),
        ..api::SendRequest::default()
    }
}

async fn queued(served: &mut Served) -> api::Queued {
    let answer = served.client.send(good()).await.unwrap().into_inner().answer;
    let Some(Answer::Queued(queued)) = answer else { panic!("it is good") };
    queued
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_socket_is_its_owners_alone_and_one_agents_only() {
    let served = served().await;
    assert_eq!(fs::metadata(&served.socket).unwrap().permissions().mode() & 0o777, 0o600);
    let second = listen(&served.socket).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::AddrInUse);
    // What an agent that was killed has left is taken over.
    let left = served.socket.with_extension("left");
    drop(std::os::unix::net::UnixListener::bind(&left).unwrap());
    assert!(listen(&left).is_ok());
    drop(served.played);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_is_answered_with_its_kind_of_answer() {
    let mut served = served().await;
    let mut flawed = good();
    flawed.document = br#"{"to": "ae-rk.aman", "colour": 1}"#.to_vec();
    let answer = served.client.send(flawed).await.unwrap().into_inner().answer;
    let Some(Answer::Flaws(flaws)) = answer else { panic!("it is flawed") };
    assert!(flaws.flaws.iter().any(|flaw| flaw.pointer == "/colour" && !flaw.text_ar.is_empty()));

    let mut not_agreed = good();
    let text = String::from_utf8(not_agreed.document).unwrap();
    not_agreed.document = text.replace("\"shelter\"", "\"education\"").into_bytes();
    let answer = served.client.send(not_agreed.clone()).await.unwrap().into_inner().answer;
    let Some(Answer::Refusal(refusal)) = answer else { panic!("no agreement allows it") };
    assert_eq!(refusal.code, "SERVICE_NOT_AGREED");
    not_agreed.unchecked = true;
    let answer = served.client.send(not_agreed).await.unwrap().into_inner().answer;
    assert!(matches!(answer, Some(Answer::Queued(_))), "the gateway decides");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_is_found_by_the_beginning_of_its_id() {
    let mut served = served().await;
    let (one, two) = (queued(&mut served).await, queued(&mut served).await);
    let mut show = async |referral: &str| {
        let shown = served.client.show_case(api::ShowCaseRequest { referral: referral.to_owned() }).await;
        shown.map(|shown| shown.into_inner().summary.unwrap().referral).map_err(|status| status.code())
    };
    assert_eq!(show(&one.referral).await, Ok(one.referral.clone()));
    assert_eq!(show(&two.referral.to_uppercase()).await, Ok(two.referral.clone()));
    let plain = one.referral.replace('-', "");
    assert_eq!(show(&plain[..31]).await, Ok(one.referral.clone()));
    assert_eq!(show(&plain[..3]).await, Err(Code::InvalidArgument), "too short to look for");
    assert_eq!(show(&plain[..4]).await, Err(Code::InvalidArgument), "both begin with the same hour");
    assert_eq!(show("ffff").await, Err(Code::NotFound));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_may_be_named_by_its_code_for_the_telephone() {
    let mut served = served().await;
    let sent = queued(&mut served).await;
    assert!(sent.telephone.is_none(), "it is no emergency");
    let mut client = served.client.clone();
    let mut show = async |referral: &str| {
        let asked = api::ShowCaseRequest { referral: referral.to_owned() };
        let shown = client.show_case(asked).await.map(|shown| shown.into_inner().summary.unwrap());
        shown.map(|case| (case.referral, case.spoken_code))
    };
    let shown = show(&sent.spoken_code).await.unwrap();
    assert_eq!(shown, (sent.referral.clone(), sent.spoken_code.clone()));
    assert!(show(&sent.spoken_code.replace(' ', "-")).await.is_ok());
    // One digit misheard, two swapped, and a good code of nothing that is here.
    let digits: String = sent.spoken_code.replace(' ', "");
    let (head, last) = digits.split_at(7);
    let other = (last.parse::<u8>().unwrap() + 1) % 10;
    let misheard = show(&format!("{head}{other}")).await.err().unwrap();
    assert_eq!(misheard.code(), Code::InvalidArgument);
    assert!(misheard.message().contains("misheard") && misheard.message().contains("الرمز"));
    let nothing = Spoken::of(&ReferralKey {
        id: proto::ids::EnvelopeId::new(proto::ids::TimeMs(1), [9; 10]),
        opened_by: proto::ids::AgencyId::parse("jo.mosd", "opened_by").unwrap(),
    });
    assert_eq!(show(&nothing.to_string()).await.err().unwrap().code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_emergency_it_is_said_whom_to_telephone() {
    let mut served = served().await;
    let mut urgent = good();
    let text = String::from_utf8(urgent.document).unwrap();
    urgent.document = text.replace("\"urgency\":\"urgent\"", "\"urgency\":\"emergency\"").into_bytes();
    let answer = served.client.send(urgent).await.unwrap().into_inner().answer;
    let Some(Answer::Queued(queued)) = answer else { panic!("it is good") };
    // The other side has published no number: then people must have one.
    let telephone = queued.telephone.unwrap();
    assert_eq!((telephone.agency.as_str(), telephone.phone.as_str()), ("ae-rk.aman", ""));
    let shown = served.client.show_case(api::ShowCaseRequest { referral: queued.referral }).await.unwrap();
    assert!(shown.into_inner().telephone.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acts_are_offered_and_changes_are_told() {
    let mut served = served().await;
    let sent = queued(&mut served).await;
    let watch = api::WatchRequest { referral: sent.referral.clone() };
    let mut changes = served.client.watch(watch).await.unwrap().into_inner();
    let first = changes.message().await.unwrap().unwrap();
    assert_eq!((first.waiting, first.incoming, first.other.as_str()), (1, false, "ae-rk.aman"));
    assert!(first.legal_acts.contains(&Act::Recall.number()));
    assert!(!first.legal_acts.contains(&Act::Accept.number()), "that is for the other side");

    let mut act = api::ActRequest {
        referral: sent.referral.clone(),
        act: Act::Accept.number(),
        ..api::ActRequest::default()
    };
    let answer = served.client.act(act.clone()).await.unwrap().into_inner().answer;
    let Some(Answer::Refusal(refusal)) = answer else { panic!("not ours to do") };
    assert_eq!(refusal.code, "ACT_NOT_LEGAL");
    assert!(refusal.legal_acts.contains(&Act::Recall.number()));

    act.act = Act::Recall.number();
    let answer = served.client.act(act).await.unwrap().into_inner().answer;
    assert!(matches!(answer, Some(Answer::Queued(_))));
    assert_eq!(changes.message().await.unwrap().unwrap().waiting, 2);

    let status = served.client.get_status(api::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!((status.connected, status.waiting, status.may_seal), (false, 2, true));
    assert!(status.directory_size > 0 && status.alarms.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_anybody_accepts_an_act_says_no_name_either() {
    let mut served = served().await;
    let sent = queued(&mut served).await;
    for (detail, tells) in [
        (r#"{"note": "فاطمة تنتظر"}"#, true),
        (r#"{"note": "call 050 765 43 21"}"#, true),
        (r#"{"note": "she waits"}"#, false),
    ] {
        let act = api::ActRequest {
            referral: sent.referral.clone(),
            act: Act::Note.number(),
            detail: detail.into(),
            ..api::ActRequest::default()
        };
        let answer = served.client.act(act).await.unwrap().into_inner().answer;
        let told = match answer {
            Some(Answer::Flaws(flaws)) => flaws.flaws.iter().any(|flaw| flaw.pointer == "/note"),
            Some(Answer::Queued(_) | Answer::Refusal(_)) | None => false,
        };
        assert_eq!(told, tells, "{detail}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_can_be_shown_again() {
    let mut served = served().await;
    let sent = queued(&mut served).await;
    let shown = served.client.show_case(api::ShowCaseRequest { referral: sent.referral }).await.unwrap();
    let shown = shown.into_inner();
    assert_eq!(shown.parts.len(), 4, "summary, identity, two files");
    let identity = String::from_utf8_lossy(&shown.parts[1].content);
    assert!(identity.contains("فاطمة"));
    assert!(shown.steps[0].standing() == api::Standing::Queued);
    let timeline = api::TimelineRequest { referral: shown.summary.unwrap().referral };
    let timeline = served.client.get_timeline(timeline).await.unwrap().into_inner();
    assert!(!timeline.complete && timeline.entries.is_empty(), "without a link, what is here");
}
