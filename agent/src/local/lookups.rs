//! What systems look up: vocabularies, agencies, this agency's own figures, and whether a receipt proves what it
//! says. Not here: cases (`answers`), and what the public is told (`proto::statistics`).

use std::collections::BTreeMap;

use proto::{
    directory::Directory,
    ids::{AgencyId, Urgency},
    lifecycle::{Status as Standing, Who},
    vocabulary::{self, Term, Vocabulary},
};
use tonic::Status;

use crate::{api, clock, office::Office, proof};

pub(super) fn vocabularies(name: &str) -> Result<api::ListVocabulariesAnswer, Status> {
    let all = vocabulary::ALL.iter().copied();
    if name.is_empty() {
        let vocabularies = all.map(|one| api::Vocabulary { terms: Vec::new(), ..vocabulary(one) }).collect();
        return Ok(api::ListVocabulariesAnswer { vocabularies });
    }
    let found = all.into_iter().find(|one| one.name == name);
    let found =
        found.ok_or_else(|| Status::not_found("there is no such vocabulary / لا توجد قائمة بهذا الاسم"))?;
    Ok(api::ListVocabulariesAnswer { vocabularies: vec![vocabulary(found)] })
}

fn vocabulary(vocabulary: &Vocabulary) -> api::Vocabulary {
    let term = |term: &Term| api::Term {
        code: term.code.to_owned(),
        parent: term.parent.unwrap_or_default().to_owned(),
        label_en: term.en.to_owned(),
        label_ar: term.ar.to_owned(),
        label_ar_reviewed: term.reviewed,
    };
    api::Vocabulary {
        name: vocabulary.name.to_owned(),
        version: vocabulary.version,
        about: vocabulary.about.to_owned(),
        terms: vocabulary.terms.iter().map(term).collect(),
    }
}

pub(super) fn agencies(office: &Office, id: &str) -> Result<api::ListAgenciesAnswer, Status> {
    let wanted = match id {
        "" => None,
        id => Some(AgencyId::parse(id, "agency").map_err(|_| {
            Status::invalid_argument("an agency's id is like ae.dfwac / رقم الجهة مثل ae.dfwac")
        })?),
    };
    let agencies: Vec<_> = office.store.read(|state| {
        let directory = state.replica().directory();
        let ids =
            directory.agencies().map(|(id, _)| id).filter(|id| wanted.as_ref().is_none_or(|one| one == *id));
        ids.filter_map(|id| agency(directory, &office.me, id)).collect()
    });
    if wanted.is_some() && agencies.is_empty() {
        return Err(Status::not_found("the directory has no such agency / لا توجد جهة بهذا الرقم في الدليل"));
    }
    Ok(api::ListAgenciesAnswer { agencies })
}

fn agency(directory: &Directory, me: &AgencyId, id: &AgencyId) -> Option<api::Agency> {
    let agency = directory.agency(id)?;
    let profile = agency.profile.clone().unwrap_or_default();
    let now = clock::now();
    let mut between = directory.agreements_between(me, id).chain(directory.agreements_between(id, me));
    Some(api::Agency {
        agency: id.to_string(),
        agency_type: agency.agency_type.clone(),
        name_en: agency.name_en.clone(),
        name_ar: agency.name_ar.clone(),
        jurisdictions: agency.jurisdictions.iter().map(ToString::to_string).collect(),
        suspended: directory.is_suspended(id, now),
        duty_phone: profile.duty_phone,
        duty_hours: profile.duty_hours,
        by_name_only: directory.is_by_name_only(id),
        agreement_in_force: id != me && between.any(|digest| directory.standing(&digest, now).is_ok()),
    })
}

pub(super) fn statistics(office: &Office) -> api::StatisticsAnswer {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    office.store.read(|state| {
        let mut counts: BTreeMap<(bool, i32, i32), u64> = BTreeMap::new();
        let mut answer = api::StatisticsAnswer { waiting: count(state.queue().len()), ..Default::default() };
        for case in state.cases() {
            let incoming = case.who(state.me()) == Some(Who::Recipient);
            let key = (incoming, case.status().number(), case.need.urgency.number());
            *counts.entry(key).or_default() += 1;
            let is_unseen = matches!(case.status(), Standing::Submitted | Standing::Delivered);
            let is_unanswered = is_unseen || case.status() == Standing::Seen;
            answer.unseen += u64::from(incoming && is_unseen);
            answer.unseen_emergencies +=
                u64::from(incoming && is_unseen && case.need.urgency == Urgency::Emergency);
            answer.unanswered += u64::from(!incoming && is_unanswered);
        }
        let count =
            |((incoming, status, urgency), count)| api::CaseCount { incoming, status, urgency, count };
        answer.counts = counts.into_iter().map(count).collect();
        answer
    })
}

pub(super) fn verify(office: &Office, file: &str) -> api::VerifyReceiptAnswer {
    match proof::verify_file(file, &office.policy) {
        Ok((receipt, checkpoint)) => {
            let record = receipt.record();
            api::VerifyReceiptAnswer {
                good: true,
                why: String::new(),
                index: record.place.index,
                event: record.what.event.number(),
                time_ms: record.place.time.0,
                envelope: record.what.envelope.map_or_else(String::new, |digest| digest.to_string()),
                log: checkpoint.origin.to_string(),
                size: checkpoint.size,
            }
        }
        Err(bad) => api::VerifyReceiptAnswer { why: bad.to_string(), ..Default::default() },
    }
}
