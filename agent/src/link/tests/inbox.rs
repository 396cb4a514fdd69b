//! The inbox when attachments do not come.

use super::{
    super::inbox::{AHEAD_MAX, WINDOW},
    played::{AMAN, DFWAC, Played},
    *,
};

/// A referral with a file that its recipient gets at once, and that is too large for an envelope.
fn with_a_large_file() -> SendRequest {
    let mut files = document::tests::files();
    files[1].content = vec![7; 1_500_000].into();
    SendRequest { files, ..referral() }
}

/// Whoever sends many large files must not make this agent ask for mail without end: each delivery that
/// waits is held in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_so_many_are_asked_for_in_place_of_those_that_wait_for_attachments() {
    let played = Played::new();
    let (sender, office) = (played.office(DFWAC), played.office(AMAN));
    followed(&sender, &played).await;
    followed(&office, &played).await;
    let (large, small) =
        (sender.send(with_a_large_file()).await.unwrap(), sender.send(referral()).await.unwrap());
    let envelope = |sent: &crate::office::Sent| sender.envelope(&sent.digest).unwrap().unwrap();
    let (waits, comes) = (envelope(&large), envelope(&small));
    // The gateway that is played gives no attachment.
    let more = AHEAD_MAX + 5;
    let mail = (0..more).map(|order| played.delivered(&waits, order.into()));
    let mail: Vec<_> = mail.chain([played.delivered(&comes, 1000)]).collect();
    played.mail(mail);
    let link = linked(&office, &played);
    until(&office, |state| standing(state, &small.digest).is_some()).await;
    let signed = async {
        while played.receipts().is_empty() {
            tokio::task::yield_now().await
        }
    };
    tokio::time::timeout(WAIT, signed).await.expect("what came whole is signed for");
    link.abort();
    // What came whole may have been replaced already.
    let asked = played.window() - WINDOW;
    assert!((AHEAD_MAX..=AHEAD_MAX + 1).contains(&asked), "{asked} for {more} that wait");
}
