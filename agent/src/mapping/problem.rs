//! What does not fit between an agency's columns and our fields, in both languages; never with what stood in a
//! cell. Arabic is not yet reviewed by a native speaker of the field. Not here: finding it.

use proto::count::isolated;

/// Something that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "a column is the agency's own word, a place is a JSON pointer")]
pub enum Problem {
    /// The mapping names a column that there is not.
    NoColumn { column: String },
    /// Nothing comes of a column.
    Unused { column: String },
    /// A word for which the mapping has no code.
    NoCode { place: String, column: String },
    /// Neither one of the words for yes nor one of those for no.
    NotYesOrNo { place: String, column: String },
    /// No day in the order that the mapping says.
    NotADate { place: String, column: String },
    /// No whole number.
    NotANumber { place: String, column: String },
}

impl Problem {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NoColumn { .. } => "NO_COLUMN",
            Self::Unused { .. } => "COLUMN_NOT_USED",
            Self::NoCode { .. } => "NO_CODE",
            Self::NotYesOrNo { .. } => "NOT_YES_OR_NO",
            Self::NotADate { .. } => "NOT_A_DATE",
            Self::NotANumber { .. } => "NOT_A_NUMBER",
        }
    }

    /// Whether something is missing because of it; what nothing comes of may be meant so.
    #[must_use]
    pub const fn is_missing(&self) -> bool {
        !matches!(self, Self::Unused { .. })
    }

    /// What is wrong and how to mend it, in English.
    #[must_use]
    pub fn text_en(&self) -> String {
        match self {
            Self::NoColumn { column } => {
                format!("There is no column `{column}`: correct its name in the mapping.")
            }
            Self::Unused { column } => {
                format!("Nothing comes of the column `{column}`: map it, or name it in `ignored`.")
            }
            Self::NoCode { place, column } => format!(
                "{place}: the column `{column}` holds a word that the mapping has no code for. Add it to `codes`."
            ),
            Self::NotYesOrNo { place, column } => format!(
                "{place}: the column `{column}` holds neither a word of `yes` nor one of `no`. Add it to one of them."
            ),
            Self::NotADate { place, column } => {
                format!("{place}: the column `{column}` holds no day in the order that `date` says.")
            }
            Self::NotANumber { place, column } => {
                format!("{place}: the column `{column}` holds no whole number.")
            }
        }
    }

    /// The same in Arabic.
    #[must_use]
    pub fn text_ar(&self) -> String {
        match self {
            Self::NoColumn { column } => {
                format!("لا يوجد عمود باسم {}: صحّح اسمه في ملف الربط.", isolated(column))
            }
            Self::Unused { column } => format!(
                "العمود {} غير مستعمل: اربطه بحقل أو اذكره في {}.",
                isolated(column),
                isolated("ignored")
            ),
            Self::NoCode { place, column } => format!(
                "{}: في العمود {} كلمة لا رمز لها في ملف الربط. أضفها إلى {}.",
                isolated(place),
                isolated(column),
                isolated("codes")
            ),
            Self::NotYesOrNo { place, column } => format!(
                "{}: في العمود {} كلمة لا تعني نعم ولا لا. أضفها إلى {} أو {}.",
                isolated(place),
                isolated(column),
                isolated("yes"),
                isolated("no")
            ),
            Self::NotADate { place, column } => format!(
                "{}: ليس في العمود {} تاريخ بالترتيب المذكور في {}.",
                isolated(place),
                isolated(column),
                isolated("date")
            ),
            Self::NotANumber { place, column } => {
                format!("{}: ليس في العمود {} عدد صحيح.", isolated(place), isolated(column))
            }
        }
    }
}
