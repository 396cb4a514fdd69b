//! A need explained from its coarse header alone, for who is no agency: to whom it would go, by which rule
//! and clause, and what each agreement says against it. Not here: the detail that only the sender's agent
//! knows (its `routing`).

use super::Directory;
use crate::{
    Malformed,
    agreement::{Clause, Need},
    digest::Digest,
    header::FALLBACKS_MAX,
    ids::{Addressing, AgencyId, Code, Jurisdiction, Kind, TimeMs, Urgency},
    refusal::Refusal,
    wire,
};

/// An agency that a need could go to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explained<'a> {
    /// The agency.
    pub agency: AgencyId,
    /// The rule that names it; none when it was asked for by name.
    pub rule: Option<&'a Code>,
    /// What else that rule asks for, which is taken to be so.
    pub conditions: &'a [Code],
    /// 1 for who is asked, more for its fallbacks; none for who is not.
    pub turn: Option<u32>,
    /// The agreement and its clause, or the refusal that counts.
    pub route: Result<(Digest, &'a Clause), Refusal>,
    /// What each agreement between the two says.
    pub agreements: Vec<(Digest, Result<&'a Clause, Refusal>)>,
}

/// A need that somebody asks about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    from: AgencyId,
    to: Option<AgencyId>,
    kind: Kind,
    category: Code,
    service: Code,
    urgency: Urgency,
    jurisdiction: Jurisdiction,
}

impl Asked {
    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(wire: &wire::ExplainRequest) -> Result<Self, Malformed> {
        Ok(Self {
            from: AgencyId::parse(&wire.from, "from")?,
            to: AgencyId::parse_optional(&wire.to, "to")?,
            kind: Kind::parse(wire.kind, "kind")?,
            category: Code::parse(&wire.category, "category")?,
            service: Code::parse(&wire.service, "service")?,
            urgency: Urgency::parse(wire.urgency, "urgency")?,
            jurisdiction: Jurisdiction::parse(&wire.jurisdiction, "jurisdiction")?,
        })
    }

    /// The need.
    #[must_use]
    pub fn need(&self) -> Need<'_> {
        Need {
            from: &self.from,
            to: self.to.as_ref().unwrap_or(&self.from),
            kind: self.kind,
            category: &self.category,
            service: &self.service,
            urgency: self.urgency,
            jurisdiction: &self.jurisdiction,
            addressing: if self.to.is_some() { Addressing::ByName } else { Addressing::ByNeed },
        }
    }
}

impl Directory {
    /// What the gateway would answer to a need, its parts aside. By need, `need.to` says nothing.
    #[must_use]
    pub fn explain<'a>(&'a self, need: Need<'a>, now: TimeMs) -> Vec<Explained<'a>> {
        let mut explained = match need.addressing {
            Addressing::ByName => vec![self.explain_one(need, (None, &[]), now)],
            Addressing::ByNeed => {
                let candidates = self.candidates(need, |_| true, now).into_iter();
                let one = |to, rule| self.explain_one(Need { to, ..need }, rule, now);
                candidates.map(|found| one(found.recipient, (Some(found.rule), found.conditions))).collect()
            }
        };
        let open = explained.iter_mut().filter(|one| one.route.is_ok());
        for (turn, one) in (1..).zip(open.take(FALLBACKS_MAX.saturating_add(1))) {
            // Whoever wants no answer is not asked after another.
            one.turn = (turn == 1 || need.kind.expects_answer()).then_some(turn);
        }
        explained
    }

    fn explain_one<'a>(
        &'a self,
        need: Need<'a>,
        (rule, conditions): (Option<&'a Code>, &'a [Code]),
        now: TimeMs,
    ) -> Explained<'a> {
        let route = match self.sends(need.from, now) {
            Ok(()) => self.way(need, now),
            Err(refusal) => Err(refusal),
        };
        let agreements = self.verdicts(need, now).collect();
        Explained { agency: need.to.clone(), rule, conditions, turn: None, route, agreements }
    }

    fn sends(&self, from: &AgencyId, now: TimeMs) -> Result<(), Refusal> {
        if self.agency(from).is_none() {
            return Err(Refusal::SenderUnknown);
        }
        if self.is_suspended(from, now) { Err(Refusal::SenderSuspended) } else { Ok(()) }
    }
}

impl Explained<'_> {
    /// The wire form, with the words.
    #[must_use]
    pub fn to_wire(&self) -> wire::Explanation {
        let route = match &self.route {
            Ok((agreement, clause)) => verdict(Some(agreement), Ok(clause)),
            Err(refusal) => verdict(None, Err(*refusal)),
        };
        wire::Explanation {
            agency: self.agency.to_string(),
            rule: self.rule.map_or_else(String::new, ToString::to_string),
            conditions: self.conditions.iter().map(ToString::to_string).collect(),
            turn: self.turn.unwrap_or(0),
            verdict: Some(route),
            agreements: self.agreements.iter().map(|(digest, said)| verdict(Some(digest), *said)).collect(),
        }
    }
}

fn verdict(agreement: Option<&Digest>, said: Result<&Clause, Refusal>) -> wire::Verdict {
    let agreement = agreement.map_or_else(Vec::new, |digest| digest.to_vec());
    match said {
        Ok(clause) => {
            wire::Verdict { agreement, clause: clause.clause_id.to_string(), ..wire::Verdict::default() }
        }
        Err(refusal) => wire::Verdict {
            agreement,
            code: refusal.name().to_owned(),
            text_en: refusal.text_en().to_owned(),
            text_ar: refusal.text_ar().to_owned(),
            ..wire::Verdict::default()
        },
    }
}
