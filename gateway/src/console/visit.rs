//! Who visits which page in which language, and the evidence of it. Deny by default: a page that a role is
//! not named for is refused, as evidence. Not here: what stands on the pages.

use axum::{
    extract::ConnectInfo,
    response::{IntoResponse as _, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use proto::{
    caller::{Caller, StaffRole},
    command::{Query, Sight},
    refusal::Refusal,
    words::Language,
};
use tonic::{Code, Status};

use super::{Console, frame, listener::ConsolePeer};
use crate::service::{answers, operations::DELIVERIES, record};

/// A page of the console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    /// What is stuck, and how the gateway is.
    Now,
    /// How the agencies stand, and whom to call.
    Agencies,
    /// What is in force between whom.
    Agreements,
    /// The rules in force, and where a need would go.
    Mechanism,
    /// Finding a referral.
    Search,
    /// Administrative acts, denials, reads.
    Audit,
    /// One referral as its delivery stands.
    Standing,
    /// One referral as its evidence tells it.
    Evidence,
}

impl Page {
    /// Those that can be gone to from everywhere.
    pub(super) const LISTED: [Self; 6] =
        [Self::Now, Self::Agencies, Self::Agreements, Self::Mechanism, Self::Search, Self::Audit];

    /// Whether a role may see it: DESIGN's table, and nothing else.
    pub(super) const fn is_for(self, role: StaffRole) -> bool {
        match (self, role) {
            (
                Self::Now | Self::Agencies | Self::Search | Self::Standing,
                StaffRole::Operator | StaffRole::Administrator,
            )
            | (
                Self::Agreements | Self::Mechanism | Self::Audit | Self::Evidence,
                StaffRole::Auditor | StaffRole::Administrator,
            )
            | (Self::Search, StaffRole::Auditor) => true,
            (Self::Now | Self::Agencies | Self::Standing, StaffRole::Auditor)
            | (Self::Agreements | Self::Mechanism | Self::Audit | Self::Evidence, StaffRole::Operator) => {
                false
            }
        }
    }

    /// The page of a referral that a visitor's role sees: its delivery, and of evidence what it may besides.
    pub(super) fn of_referral(request: &Parts) -> Self {
        let role = caller(request).as_ref().and_then(role);
        if role.is_some_and(|role| Self::Standing.is_for(role)) { Self::Standing } else { Self::Evidence }
    }

    /// Its place in addresses.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Agencies => "agencies",
            Self::Agreements => "agreements",
            Self::Mechanism => "mechanism",
            Self::Search => "search",
            Self::Audit => "audit",
            Self::Standing | Self::Evidence => "referral",
        }
    }

    /// What a view of it is, as evidence; nothing where nothing of anybody's is shown.
    const fn query(self, role: StaffRole) -> Option<Query> {
        match (self, role) {
            (Self::Now | Self::Agencies | Self::Standing, _)
            | (Self::Search, StaffRole::Operator | StaffRole::Administrator) => Some(DELIVERIES),
            (Self::Agreements | Self::Mechanism | Self::Audit, _) => {
                Some(Query { of: Sight::Evidence, referral: None, index: None })
            }
            // The form alone; what it finds is a page of its own.
            (Self::Search, StaffRole::Auditor)
            // Recorded with the referral's key, where it is read.
            | (Self::Evidence, _) => None,
        }
    }
}

/// Who visits, and how it is shown.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) caller: Caller,
    pub(super) role: StaffRole,
    pub(super) language: Language,
    /// The page's address behind the language.
    pub(super) rest: String,
}

const fn role(caller: &Caller) -> Option<StaffRole> {
    match caller {
        Caller::Staff { role, .. } => Some(*role),
        Caller::Agency { .. } | Caller::Invited { .. } | Caller::Gateway => None,
    }
}

fn caller(request: &Parts) -> Option<Caller> {
    let peer = request.extensions.get::<ConnectInfo<ConsolePeer>>()?;
    Some(peer.0.0.caller.clone())
}

impl Visit {
    fn of(request: &Parts) -> Option<Self> {
        let caller = caller(request)?;
        let role = role(&caller)?;
        let uri = &request.uri;
        let mut segments = uri.path().trim_start_matches('/').splitn(2, '/');
        let language = match segments.next() {
            Some("ar") => Language::Arabic,
            Some("en") => Language::English,
            Some(_) | None => preferred(&request.headers),
        };
        let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
        let rest = segments.next().unwrap_or_default().to_owned() + &query;
        Some(Self { caller, role, language, rest })
    }

    /// What stands behind the question mark.
    pub(super) fn query(&self) -> Option<&str> {
        self.rest.split_once('?').map(|(_, query)| query)
    }

    /// Lets a visit to a page in, with its evidence; or gives the answer that it gets instead.
    pub(super) async fn enter(console: &Console, request: &Parts, page: Page) -> Result<Self, Response> {
        let Some(visit) = Self::of(request) else {
            return Err(StatusCode::FORBIDDEN.into_response());
        };
        if !page.is_for(visit.role) {
            let status = answers::unrecorded(Refusal::RoleNotAllowed, "");
            let status = record(&console.gateway, &visit.caller, status).await;
            return Err(visit.refused(&status));
        }
        if let Some(query) = page.query(visit.role) {
            let left = console.gateway.leave_evidence(&visit.caller, query).await;
            left.map_err(|status| visit.refused(&status))?;
        }
        Ok(visit)
    }

    /// Who sends a form: that they do is evidence by what becomes of it.
    pub(super) fn posting(request: &Parts) -> Option<Self> {
        Self::of(request)
    }

    /// What a call refuses, as a page.
    pub(super) fn refused(&self, status: &Status) -> Response {
        let code = match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::FailedPrecondition | Code::Aborted => StatusCode::CONFLICT,
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        };
        frame::refusal(self, code, status)
    }
}

/// The language that a browser asks for first.
fn preferred(headers: &HeaderMap) -> Language {
    let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    if wanted.is_some_and(|wanted| wanted.trim_start().starts_with("ar")) {
        Language::Arabic
    } else {
        Language::English
    }
}

/// `/`: the first page of the role, in the browser's language.
pub(super) async fn front(request: Parts) -> Response {
    let Some(visit) = Visit::of(&request) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let first = Page::LISTED.into_iter().find(|page| page.is_for(visit.role));
    let first = first.map_or("search", Page::path);
    Redirect::to(&format!("/{}/{first}", frame::code(visit.language))).into_response()
}

/// No such page.
pub(super) async fn unknown(request: Parts) -> Response {
    Visit::of(&request)
        .map_or_else(|| StatusCode::FORBIDDEN.into_response(), |visit| visit.refused(&Status::not_found("")))
}

/// The answer to whoever is no member of staff: a refusal, which is evidence.
pub(super) async fn turned_away(
    console: &Console,
    peer: Option<ConnectInfo<ConsolePeer>>,
) -> Option<Response> {
    let Some(caller) = peer.map(|peer| peer.0.0.caller.clone()) else {
        return Some(StatusCode::FORBIDDEN.into_response());
    };
    if role(&caller).is_some() {
        return None;
    }
    record(&console.gateway, &caller, answers::unrecorded(Refusal::RoleNotAllowed, "")).await;
    let refusal = Refusal::RoleNotAllowed;
    let text = format!("{}\n{}\n", refusal.text_en(), refusal.text_ar());
    Some((StatusCode::FORBIDDEN, text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_its_pages_and_no_other() {
        use StaffRole::{Administrator, Auditor, Operator};
        let all = [
            Page::Now,
            Page::Agencies,
            Page::Agreements,
            Page::Mechanism,
            Page::Search,
            Page::Audit,
            Page::Standing,
            Page::Evidence,
        ];
        let of = |role| all.into_iter().filter(|page| page.is_for(role)).collect::<Vec<_>>();
        assert_eq!(of(Operator), [Page::Now, Page::Agencies, Page::Search, Page::Standing]);
        assert_eq!(
            of(Auditor),
            [Page::Agreements, Page::Mechanism, Page::Search, Page::Audit, Page::Evidence]
        );
        assert_eq!(of(Administrator), all);
    }
}
