//! The room that an agency has for its services, on the command line: said, and shown. Not here: what
//! follows from it (`proto::directory::capacity`).

use std::path::Path;

use agent::{api, words::Language};
use proto::{
    directory::capacity,
    vocabulary::SERVICES,
    wire::{self, ServiceOffer},
};
use serde_json::{Value, json};

use super::{
    arguments::{Capacity, Room},
    outcome::{Outcome, Trouble},
    sending::client,
    show::{self, Screen},
};

pub(crate) async fn run(root: &Path, wanted: &Capacity, screen: &Screen) -> Result<Outcome, Trouble> {
    use api::publish_offer_answer::Answer;
    if wanted.service.is_some() && wanted.room.is_none() && !wanted.withdraw {
        return Err(Trouble::usage(
            "say what room there is: open, none, waitlist, assessment, or --withdraw",
        ));
    }
    let mut agent = client(root).await?;
    let Some(offer) = offer(wanted) else {
        let request = api::ListOffersRequest { agency: wanted.agency.clone().unwrap_or_default() };
        shown(&agent.list_offers(request).await?.into_inner(), screen);
        return Ok(Outcome::Done);
    };
    let request = api::PublishOfferRequest { offer: Some(offer), withdraw: wanted.withdraw };
    match agent.publish_offer(request).await?.into_inner().answer {
        Some(Answer::Offers(offers)) => {
            shown(&offers, screen);
            Ok(Outcome::Done)
        }
        Some(Answer::Refusal(refusal)) => {
            screen.show(
                show::refusal_lines(&refusal),
                || json!({"published": false, "refusal": show::refusal_json(&refusal)}),
            );
            Ok(Outcome::Refused)
        }
        None => Err(Trouble::not_reached("the agent gave no answer")),
    }
}

fn offer(wanted: &Capacity) -> Option<ServiceOffer> {
    let capacity = match wanted.room {
        Some(Room::Open) => wire::Capacity::Open,
        Some(Room::None) => wire::Capacity::None,
        Some(Room::Waitlist) => wire::Capacity::Waitlist,
        Some(Room::Assessment) => wire::Capacity::Assessment,
        None => wire::Capacity::Unspecified,
    };
    Some(ServiceOffer {
        service: wanted.service.clone()?,
        categories: wanted.categories.clone(),
        jurisdictions: wanted.jurisdictions.clone(),
        capacity: capacity.into(),
    })
}

fn shown(answer: &api::OffersAnswer, screen: &Screen) {
    let language = screen.language;
    let mut lines = vec![language.isolated(&answer.agency)];
    lines.extend(answer.offers.iter().map(|offer| format!("  {}", line(offer, language))));
    if answer.offers.is_empty() {
        lines.push(
            language
                .pick(
                    "  says nothing of its room: it is asked whenever an agreement allows it",
                    "  لم تذكر سعتها: تُسأل متى سمحت بذلك اتفاقية",
                )
                .to_owned(),
        );
    }
    screen.show(lines, || {
        let offers: Vec<Value> = answer.offers.iter().map(json).collect();
        json!({"agency": answer.agency, "offers": offers})
    });
}

fn said(offer: &ServiceOffer) -> Option<capacity::Capacity> {
    capacity::Capacity::parse(offer.capacity, "capacity").ok()
}

fn line(offer: &ServiceOffer, language: Language) -> String {
    use capacity::Capacity as Said;
    let label = SERVICES.find(&offer.service).map_or(offer.service.as_str(), |term| match language {
        Language::English => term.en,
        Language::Arabic => term.ar,
    });
    let room = said(offer).map_or("?", |said| match said {
        Said::Open => language.pick("there is room", "يوجد متسع"),
        Said::None => language.pick("no room: nobody is sent by need", "لا متسع: لا يُحال أحد بحسب الاحتياج"),
        Said::Waitlist => language.pick("a waiting list", "قائمة انتظار"),
        Said::Assessment => language.pick("each case is looked at first", "تُدرس كل حالة أولًا"),
    });
    let only: Vec<_> = offer.categories.iter().chain(&offer.jurisdictions).collect();
    let only = if only.is_empty() {
        String::new()
    } else {
        let codes: Vec<_> = only.into_iter().map(|code| language.isolated(code)).collect();
        format!(" ({})", codes.join(language.pick(", ", "، ")))
    };
    format!("{}{only}: {room}", proto::count::isolated(label))
}

fn json(offer: &ServiceOffer) -> Value {
    json!({
        "service": offer.service,
        "categories": offer.categories,
        "jurisdictions": offer.jurisdictions,
        "capacity": said(offer).map(capacity::Capacity::code),
    })
}
