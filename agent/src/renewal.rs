//! The certificate is renewed by itself, well before its end: a new key is made, the gateway's authority
//! certifies it over the connection of the old one, and the next connection uses both. Nothing of the old
//! pair is touched before the new one is whole on disk. Not here: the pairs' files (`credential`).

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use proto::{
    digest::Digest,
    ids::TimeMs,
    refusal::Refusal,
    wire::{self, RenewalRefusal, renew_answer::Answer},
};
use rcgen::{CertificateParams, DistinguishedName};
use rustls::pki_types::UnixTime;
use thiserror::Error;
use tokio::time::sleep;
use tonic::{Code, Request, Status, transport::Channel};

use crate::{
    certificate::{Chain, ChainFault},
    clock,
    credential::{self, Credential},
    daemon::Files,
    enrolment,
    folder::FolderFault,
    gateway::certificates_client::CertificatesClient,
    keys::TlsKey,
    link::Line,
    office::Office,
    randomness,
};

/// How long the agent rests at the most before it looks again when the certificate is due.
pub const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// The shortest wait before what failed is tried again.
pub const AGAIN_MIN: Duration = Duration::from_secs(1);
/// The longest.
pub const AGAIN_MAX: Duration = Duration::from_secs(6 * 60 * 60);
/// How long the gateway may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);
/// What failed is tried again after this part of what is left: the nearer the end, the more often.
const PARTS_LEFT: u64 = 20;
/// Up to this part of its life later than two thirds, so that agents do not all come at once.
const JITTER_PARTS: u64 = 12;

/// Why the certificate was not renewed. Each says what to do next.
#[derive(Debug, Error)]
pub enum NotRenewed {
    /// The gateway refuses.
    #[error("{text_en}")]
    Refused {
        /// The stable code.
        code: &'static str,
        /// What to do next, in English.
        text_en: String,
        /// The same in Arabic.
        text_ar: String,
        /// When it may be asked again: Unix seconds; 0 when people must do something first.
        again_at_s: u64,
    },
    /// The gateway is of a release that does not renew.
    #[error("the gateway does not renew certificates; ask the administrators for a new one before it ends")]
    NotServed,
    /// The call failed.
    #[error("the gateway could not renew the certificate ({0}); it is tried again")]
    Call(String),
    /// No key or request could be made.
    #[error("no key could be made; it is tried again")]
    NotMade,
    /// What the gateway gave cannot be used.
    #[error("what the gateway gave cannot be used: {0}")]
    Chain(#[from] ChainFault),
    /// It cannot be written down.
    #[error("the new certificate cannot be written down: {0}")]
    Folder(#[from] FolderFault),
}

impl NotRenewed {
    /// A stable word: the gateway's, or our own.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code,
            Self::NotServed => "NOT_SERVED",
            Self::Call(_) => "CALL_FAILED",
            Self::NotMade => "NOT_MADE",
            Self::Chain(_) => "NOT_USABLE",
            Self::Folder(_) => "NOT_WRITTEN",
        }
    }

    /// The same as its text, in Arabic.
    #[must_use]
    pub fn text_ar(&self) -> &str {
        match self {
            Self::Refused { text_ar, .. } => text_ar,
            Self::NotServed => "لا تجدد البوابة الشهادات؛ اطلب من المسؤولين شهادة جديدة قبل انتهائها",
            Self::Call(_) => "تعذّر على البوابة تجديد الشهادة؛ تُعاد المحاولة تلقائيًا",
            Self::NotMade => "تعذّر إنشاء مفتاح؛ تُعاد المحاولة تلقائيًا",
            Self::Chain(_) => "لا يمكن استعمال الشهادة التي أعطتها البوابة؛ اتصل بالمسؤولين",
            Self::Folder(_) => "تعذّر حفظ الشهادة الجديدة؛ تحقق من مساحة القرص ومن أذونات مجلد البرنامج",
        }
    }

    /// When the gateway says that it may be asked again.
    fn again_at_s(&self) -> Option<u64> {
        match self {
            Self::Refused { again_at_s, .. } => Some(*again_at_s).filter(|at| *at > 0),
            Self::NotServed | Self::Call(_) | Self::NotMade | Self::Chain(_) | Self::Folder(_) => None,
        }
    }
}

/// How renewing stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// When the certificate is due: Unix seconds; 0 while there is none.
    pub due_at_s: u64,
    /// When it was renewed last since the agent began to run.
    pub renewed_at: Option<TimeMs>,
    /// Since when it fails, and why at the last try.
    pub failing: Option<Failing>,
}

/// Why renewing fails.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is described in local.proto, once")]
pub struct Failing {
    pub since: TimeMs,
    pub code: &'static str,
    pub why_en: String,
    pub why_ar: String,
}

/// How renewing stands, for whoever asks the agent.
#[derive(Debug, Default)]
pub struct Board(Mutex<Standing>);

impl Board {
    /// As it is now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn failed(&self, why: &NotRenewed, now: TimeMs) {
        self.note(|standing| {
            let since = standing.failing.as_ref().map_or(now, |failing| failing.since);
            let (why_en, why_ar) = (why.to_string(), why.text_ar().to_owned());
            standing.failing = Some(Failing { since, code: why.code(), why_en, why_ar });
        });
    }
}

/// Renews the certificate whenever it is due, as long as the agent runs.
pub async fn run(office: Arc<Office>, files: Arc<Files>, line: Line) {
    let draw = randomness::bytes().map_or(0, u64::from_le_bytes);
    loop {
        let wait = turn(&office, &files, &line, draw).await;
        sleep(wait).await;
    }
}

/// Does what is due. Gives how long to rest.
async fn turn(office: &Office, files: &Files, line: &Line, draw: u64) -> Duration {
    // Without one that can be used, or after its end, people must put another in place.
    let Ok(credential) = files.credential() else {
        return LOOK_EVERY;
    };
    let Ok(lasts) = credential.chain.lasts_unix_s() else {
        return LOOK_EVERY;
    };
    let (due, now) = (due_at_s(&lasts, draw), clock::machine());
    office.renewal.note(|standing| standing.due_at_s = due);
    let now_s = now.0 / 1000;
    if now_s < due {
        return Duration::from_secs(due - now_s).min(LOOK_EVERY);
    }
    // How the link stands is told elsewhere.
    let Some(channel) = line.channel() else {
        return again_after(now_s, lasts.end).min(LINK_AGAIN);
    };
    match renew(files, channel, |_| None).await {
        Ok(renewed) => {
            let ends_at = renewed.lasts_unix_s().map_or(0, |lasts| lasts.end);
            office.certificate_ends_at_s.store(ends_at, Ordering::Relaxed);
            office.renewal.note(|standing| (standing.renewed_at, standing.failing) = (Some(now), None));
            tracing::info!(ends_at_s = ends_at, "the certificate was renewed; the next connection uses it");
            AGAIN_MIN
        }
        Err(why) => {
            tracing::error!(code = why.code(), %why, "the certificate could not be renewed");
            office.renewal.failed(&why, now);
            let again = why.again_at_s().map(|at| Duration::from_secs(at.saturating_sub(now_s)));
            again.unwrap_or_else(|| again_after(now_s, lasts.end)).clamp(AGAIN_MIN, AGAIN_MAX)
        }
    }
}

/// How long is waited for the link when a certificate is due.
const LINK_AGAIN: Duration = Duration::from_secs(30);

/// Two thirds of the way, and a little later.
fn due_at_s(lasts: &Range<u64>, draw: u64) -> u64 {
    let life = lasts.end.saturating_sub(lasts.start);
    let jitter = u128::from(draw) * u128::from(life / JITTER_PARTS) / u128::from(u64::MAX);
    let due = lasts.start.saturating_add(life - life / 3);
    due.saturating_add(u64::try_from(jitter).unwrap_or(0)).min(lasts.end)
}

fn again_after(now_s: u64, ends_at_s: u64) -> Duration {
    Duration::from_secs(ends_at_s.saturating_sub(now_s) / PARTS_LEFT).clamp(AGAIN_MIN, AGAIN_MAX)
}

/// Makes a key, has it certified, and puts both in place. The key is not written before: when the answer is
/// lost, so is the key, and another is made. With an order for the request's digest it need not be due.
pub(crate) async fn renew(
    files: &Files,
    channel: Channel,
    order: impl FnOnce(Digest) -> Option<wire::SignedObject>,
) -> Result<Chain, NotRenewed> {
    let key = TlsKey::generate().map_err(|_| NotRenewed::NotMade)?;
    let certificate_request = certificate_request(&key)?;
    let order = order(Digest::of(&certificate_request));
    let mut request = Request::new(wire::RenewRequest { certificate_request, order });
    request.set_timeout(CALL_TIME_MAX);
    let answer = match CertificatesClient::new(channel).renew(request).await {
        Ok(answer) => answer.into_inner().answer,
        Err(status) if status.code() == Code::Unimplemented => return Err(NotRenewed::NotServed),
        Err(status) => return Err(denied(&status)),
    };
    let pem = match answer {
        Some(Answer::CertificateChain(pem)) => pem,
        Some(Answer::Refused(refused)) if refused.code() != RenewalRefusal::Unspecified => {
            return Err(refused_by(refused));
        }
        Some(Answer::Refused(_)) | None => return Err(NotRenewed::Call("no answer".to_owned())),
    };
    let me = (&files.settings.agency, &files.settings.node);
    let chain = Chain::parse(pem.as_bytes(), &files.network, me, &key, UnixTime::now())?;
    let renewed = Credential { key, chain };
    // THE POINT from which on the new pair is used: one file, one rename.
    credential::save_renewed(&files.folder, &renewed.key, &pem)?;
    Ok(renewed.chain)
}

pub(crate) fn refused_by(refused: wire::RenewalRefused) -> NotRenewed {
    let code = refused.code().as_str_name().trim_start_matches("RENEWAL_REFUSAL_");
    let wire::RenewalRefused { text_en, text_ar, again_at_ms, .. } = refused;
    NotRenewed::Refused { code, text_en, text_ar, again_at_s: again_at_ms / 1000 }
}

/// The agency itself may be refused: it is suspended, say.
fn denied(status: &Status) -> NotRenewed {
    let refused = enrolment::refusal_in(status);
    let refused = refused.and_then(|refused| Some((Refusal::from_number(refused.number)?, refused)));
    match refused {
        Some((refusal, wire::RefusalAnswer { text_en, text_ar, .. })) => {
            NotRenewed::Refused { code: refusal.name(), text_en, text_ar, again_at_s: 0 }
        }
        None => NotRenewed::Call(status.message().to_owned()),
    }
}

/// PKCS#10 in DER. Its names do not count: whom a certificate names is the authority's word.
fn certificate_request(key: &TlsKey) -> Result<Vec<u8>, NotRenewed> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let pair = key.pair().map_err(|_| NotRenewed::NotMade)?;
    let request = params.serialize_request(&pair).map_err(|_| NotRenewed::NotMade)?;
    Ok(request.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 24 * 60 * 60;

    #[test]
    fn it_is_due_after_two_thirds_of_its_life_and_never_after_its_end() {
        let lasts = 1_000 * DAY_S..1_090 * DAY_S;
        assert_eq!(due_at_s(&lasts, 0), 1_060 * DAY_S);
        assert_eq!(due_at_s(&lasts, u64::MAX), 1_060 * DAY_S + 90 * DAY_S / JITTER_PARTS);
        assert!(due_at_s(&lasts, u64::MAX / 2) > due_at_s(&lasts, u64::MAX / 4), "each agent at its time");
        assert_eq!(due_at_s(&(7..7), u64::MAX), 7);
        let never = Range { start: 9, end: 7 };
        assert_eq!(due_at_s(&never, u64::MAX), 7, "one that never lasts");
    }

    #[test]
    fn what_fails_is_tried_again_the_more_often_the_nearer_the_end() {
        let ends = 100 * DAY_S;
        assert_eq!(again_after(70 * DAY_S, ends), AGAIN_MAX);
        assert_eq!(again_after(ends - 3_600, ends), Duration::from_secs(180));
        assert_eq!(again_after(ends - 5, ends), AGAIN_MIN);
        assert_eq!(again_after(ends + 5, ends), AGAIN_MIN);
    }

    #[test]
    fn what_fails_says_since_when_and_what_to_do_in_both_languages() {
        let board = Board::default();
        let refused = wire::RenewalRefused {
            code: RenewalRefusal::TooEarly.into(),
            text_en: "Later.".into(),
            text_ar: "لاحقًا.".into(),
            again_at_ms: 5_000,
        };
        let refused = refused_by(refused);
        assert_eq!((refused.code(), refused.again_at_s()), ("TOO_EARLY", Some(5)));
        board.failed(&refused, TimeMs(1));
        board.failed(&NotRenewed::NotServed, TimeMs(2));
        let failing = board.standing().failing.unwrap();
        assert_eq!((failing.since, failing.code), (TimeMs(1), "NOT_SERVED"));
        let all =
            [refused, NotRenewed::NotServed, NotRenewed::NotMade, NotRenewed::Chain(ChainFault::NotPem)];
        for why in all {
            assert!(!why.to_string().is_empty() && why.text_ar().chars().any(|c| c > '\u{600}'), "{why}");
        }
    }
}
