//! Closed lists of the payload. Those named after HTCDS are from the Human Trafficking Case Data
//! Standard 2.0 of the International Organization for Migration, used under CC BY 4.0; IOM does not
//! endorse this product. Not here: which field takes which list.

/// Values that a field may have.
pub type List = &'static [&'static str];

/// HTCDS `prs_Gender`.
pub const GENDERS: List = &[
    "Feminine",
    "Masculine",
    "TransgenderFeminine",
    "TransgenderMasculine",
    "NonConforming",
    "NonSpecifiedUnknown",
];

/// HTCDS `prs_MaritalStatus`.
pub const MARITAL_STATUSES: List =
    &["Single", "Married", "Widowed", "Divorced", "Separated", "RegisteredPartnership"];

/// HTCDS `prs_HighestLevelOfEducation`.
pub const EDUCATION_LEVELS: List = &[
    "EarlyChildhoodEducation",
    "PrimaryEducation",
    "LowerSecondaryEducation",
    "UpperSecondaryEducation",
    "PostSecondaryNonTertiaryEducation",
    "ShortCycleTertiaryEducation",
    "BachelorsOrEquivalentLevel",
    "MastersOrEquivalentLevel",
    "DoctoralOrEquivalentLevel",
];

/// HTCDS `vic_TraffickingStatus`.
pub const TRAFFICKING_STATUSES: List =
    &["PossibleVictimOfTrafficking", "ActualVictimOfTrafficking", "NotAVictimOfTrafficking"];

/// HTCDS `vic_TraffickingStatusDecisionMakingOrg`.
pub const STATUS_DECIDERS: List =
    &["Police", "NGO", "CourtOrProsecution", "NonPoliceGovernmentalOrganization", "Other"];

/// HTCDS `vic_RelationshipToTrafficker`.
pub const RELATIONSHIPS_TO_TRAFFICKER: List = &["Familial", "Acquainted", "Unaquainted"];

/// HTCDS `vic_RecruitmentWebsitesAndApps`.
pub const WEBSITES_AND_APPS: List = &[
    "Facebook",
    "Instagram",
    "WhatsApp",
    "Telegram",
    "FacebookMessenger",
    "Viber",
    "SnapChat",
    "Line",
    "4Sale",
    "WeChat",
    "QQ",
    "QZone",
    "TikTok",
    "Twitter",
    "Other",
];

/// HTCDS `vic_MethodOfRecruitment`.
pub const RECRUITMENT_METHODS: List = &[
    "AtAPlaceOfBusiness",
    "AtAnEducationalInstitution",
    "AtWork",
    "ThroughOnlineSocialNetworks",
    "ThroughAnOnlineAdvertisement",
    "ThroughATelevisionAdvert",
    "ThroughANewspaperAdvert",
    "ThroughFamilyOrFamilyEvents",
    "ThroughFriendsOrSocialEvents",
    "Other",
];

/// HTCDS `vic_MethodsOfControl`.
pub const CONTROL_METHODS: List = &[
    "PhysicalThreats",
    "ThreatsLawEnforcement",
    "ThreatensChildrenFamily",
    "DebtBondage",
    "FalsePromises",
    "PhysicalAbuse",
    "SexualAbuse",
    "TakesEarnings",
    "RestrictsFinancialAccess",
    "RestrictsMedicalCare",
    "WithholdsNecessities",
    "PsychologicalAbuse",
    "PsychoactiveSubstance",
    "ExcessiveWorkingHours",
    "WithholdsDocuments",
    "Other",
];

/// HTCDS `vic_TypeOfExploitation`.
pub const EXPLOITATION_TYPES: List = &[
    "ForcedLabour",
    "SexualExploitation",
    "ChildLabour",
    "ForcedMarriage",
    "Servitude",
    "ForcedMilitaryByNonStateActors",
    "OrganRemoval",
    "ForcedBegging",
    "ForcedAdoption",
    "Surrogacy",
    "Other",
];

/// HTCDS `vic_ForcedLabourIndustry`.
pub const INDUSTRIES: List = &[
    "A_AgricultureForestryAndFishing",
    "B_MiningAndQuarrying",
    "C_Manufacturing",
    "D_ElectricityGasSteamAndAirConditioningSupply",
    "E_WaterSupplySewerageWasteManagement",
    "F_Construction",
    "G_WholesaleAndRetailTradeRepairOfMotorVehicles",
    "H_TransportationAndStorage",
    "I_AccommodationAndFoodServiceActivities",
    "J_InformationAndCommunication",
    "K_FinancialAndInsuranceActivities",
    "L_RealEstateActivities",
    "M_ProfessionalScientificAndTechnicalActivities",
    "N_AdministrativeAndSupportServiceActivities",
    "O_PublicAdministrationAndDefence",
    "P_Education",
    "Q_HumanHealthAndSocialWorkActivities",
    "R_ArtsEntertainmentAndRecreation",
    "S_OtherServiceActivities",
    "T_ActivitiesOfHouseholdsAsEmployers",
    "U_ActivitiesOfExtraterritorialOrganizations",
];

/// HTCDS `vic_TypeOfSexExploitation`.
pub const SEX_EXPLOITATION_TYPES: List =
    &["Prostitution", "Pornography", "RemoteInteractiveServices", "PrivateSexualServices"];

/// HTCDS `vic_Vulnerabilities`.
pub const HTCDS_VULNERABILITIES: List = &[
    "Addiction",
    "SocialGroup",
    "Discrimination",
    "Poverty",
    "DisabilityAndPhysicalHealth",
    "MentalHealth",
    "Migration",
    "Homelessness",
    "AbuseSocialMedia",
    "AbusePhysical",
    "Education",
    "WorkEnvironment",
];

/// HTCDS `per_RoleInProcess`.
pub const ROLES_IN_PROCESS: List = &[
    "TravellingPartner",
    "Transporter",
    "RecruiterOrIntermediary",
    "BrokerTravelAgent",
    "TransferredIndividual",
    "HarbouredIndividual",
    "SoldIndividual",
    "BoughtIndividual",
    "ReceivedIndividual",
    "ControlledIndividual",
    "Smuggler",
    "Abuser",
    "Kidnapper",
    "Exploiter",
    "Other",
];

/// HTCDS `cas_Status`.
pub const CASE_STATUSES: List = &["Active", "FollowUp", "Closed", "ClosedReferred"];

/// HTCDS `cas_ReasonForOutgoingReferral`.
pub const REFERRAL_REASONS: List = &["AdditionalServicesRequired", "MigrationOrChangeOfLocation", "Other"];

/// HTCDS `hte_Type`.
pub const EVENT_TYPES: List = &["Recruitment", "Transit", "Exploitation"];

/// HTCDS `spl_Type`.
pub const SUPPORT_TYPES: List = &[
    "Education",
    "Financial",
    "Health",
    "LabourExploitationRehabilitation",
    "Legal",
    "Livelihood",
    "RightsBasedTraining",
    "SexualExploitationRehabilitation",
    "SocialCare",
];

/// Categories of cases, children of the header's parent categories included.
pub const CASE_CATEGORIES: List = &[
    "trafficking",
    "forced_labour",
    "sexual_exploitation",
    "child_labour",
    "forced_marriage",
    "servitude",
    "forced_military",
    "organ_removal",
    "forced_begging",
    "forced_adoption",
    "surrogacy",
    "gbv_rape",
    "gbv_sexual_assault",
    "gbv_physical_assault",
    "gbv_denial_of_resources",
    "gbv_psychological_abuse",
    "domestic_violence",
    "child_abuse_neglect",
    "unaccompanied_separated_child",
    "other",
    "migrant_worker_abuse",
    "disability_protection",
    "child_in_need",
    "gender_based_violence",
    "child_protection",
];

/// Groups at risk.
pub const VULNERABILITIES: List = &[
    "child",
    "unaccompanied_child",
    "separated_child",
    "child_headed_household",
    "child_mother",
    "physical_disability",
    "mental_disability",
    "serious_health_issue",
    "mentally_distressed",
    "refugee",
    "asylum_seeker",
    "stateless",
    "idp",
    "returnee",
    "labour_migrant",
    "irregular_migrant",
    "domestic_worker",
    "arrested_detained",
    "street_child",
    "homeless",
    "poverty",
    "addiction",
    "documents_withheld",
    "older_person",
];

/// How high a risk is.
pub const RISK_LEVELS: List = &["high", "medium", "low"];

/// What a referral rests on.
pub const CONSENT_BASES: List = &[
    "informed_consent_adult",
    "guardian_consent_child_assent",
    "best_interests_of_the_child",
    "duty_to_notify_no_identity",
    "vital_interest_override",
    "legal_obligation",
];

/// Why a recipient declines or could not do it; see [`class_of_reason`](super::class_of_reason).
pub const DECLINE_REASONS: List = &[
    "no_capacity",
    "not_eligible",
    "service_not_provided",
    "service_unavailable",
    "out_of_area",
    "already_served",
    "client_declined",
    "could_not_contact",
    "missing_information",
    "consent_missing",
    "outside_agreement",
    "safety_concern",
    "duplicate",
    "sent_in_error",
    "other",
];

/// What came of it; see [`class_of_outcome`](super::class_of_outcome).
pub const OUTCOMES: List = &[
    "service_received",
    "partially_received",
    "client_declined",
    "could_not_contact",
    "referred_on",
    "left_country",
    "other",
];

/// Ways to reach a person.
pub const CHANNELS: List = &["phone_call", "sms", "whatsapp", "email", "in_person", "through_the_agency"];

/// Who somebody is in the household.
pub const HOUSEHOLD_ROLES: List =
    &["client", "spouse", "child", "parent", "sibling", "guardian", "dependant", "other"];

/// Coarse ages.
pub const AGE_GROUPS: List = &["0-4", "5-11", "12-17", "18-24", "25-59", "60+"];

/// What a person consents to share.
pub const CONSENTED_DATA: List = &["summary", "identity", "attachments", "health", "legal"];
