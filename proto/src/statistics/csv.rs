//! Tables as files that a spreadsheet opens with its Arabic whole: UTF-8 with a mark at the beginning, `\r\n`
//! at the ends of lines, labels in both languages. Not here: writing files (the gateway).

use super::{Figure, NotTold, Table, guard::MONTHS};

/// What a spreadsheet knows UTF-8 by.
pub const BOM: &str = "\u{feff}";

/// What a reader must know, in both languages: the content of `notes.csv`.
pub const NOTES: &[(&str, &str)] = &[
    (
        "Each referral is counted once, in the month in which it was opened (UTC), as it stood 90 days later.",
        "تُحسب كل إحالة مرة واحدة في شهر فتحها (بالتوقيت العالمي)، بحسب حالها بعد 90 يومًا.",
    ),
    (
        "A star stands for what is not told: counts of 1 to 10, and others from which these would follow.",
        "تدل النجمة على ما لا يُعلن: الأعداد من 1 إلى 10، وغيرها مما قد تُستنتج منه.",
    ),
    (
        "Figures are rounded to multiples of 5, totals by themselves: rows need not add up to them.",
        "الأرقام مقرّبة إلى مضاعفات العدد 5، وكذلك المجاميع: قد لا يساوي مجموع الصفوف المجموع المعلن.",
    ),
    (
        "An answer is a yes or a no of the first agency that was asked.",
        "الرد هو القبول أو الاعتذار من أول جهة سُئلت.",
    ),
];

/// A field. What might be a formula to a spreadsheet is never one: labels are ours, and figures digits.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let fields: Vec<_> = fields.into_iter().map(quoted).collect();
    fields.join(",") + "\r\n"
}

fn figure(figure: Figure) -> String {
    match figure {
        Figure::Count(count) => count.to_string(),
        Figure::Hidden => "*".to_owned(),
    }
}

/// The notes, as a file.
#[must_use]
pub(super) fn notes() -> String {
    let lines = NOTES.iter().map(|(english, arabic)| line([*english, *arabic]));
    [BOM.to_owned(), line(["note", "ملاحظة"])].into_iter().chain(lines).collect()
}

impl Table {
    /// The notes that belong to every table, as a file.
    #[must_use]
    pub fn notes() -> String {
        notes()
    }

    /// The whole year, with its months where they may be shown.
    #[must_use]
    pub fn csv(&self) -> String {
        let months = self.shown.months.as_ref();
        let numbers: Vec<String> = (1..=MONTHS).map(|month| format!("{}-{month:02}", self.year)).collect();
        let mut heads =
            vec!["code".to_owned(), "label_en".to_owned(), "label_ar".to_owned(), self.year.to_string()];
        heads.extend(numbers.into_iter().filter(|_| months.is_some()));
        let totals = months.into_iter().flat_map(|months| months.totals);
        let total = [self.shown.total].into_iter().chain(totals);
        let mut text = BOM.to_owned() + &line(heads.iter().map(String::as_str));
        text += &self.row(("total", "All", "المجموع"), total);
        for (place, (label, of_year)) in self.labels.iter().zip(&self.shown.rows).enumerate() {
            let of_months = months.and_then(|months| months.rows.get(place)).into_iter().flatten().copied();
            text += &self.row((label.code, label.en, label.ar), [*of_year].into_iter().chain(of_months));
        }
        text
    }

    /// One month of it; where months may not be shown, nothing but stars.
    ///
    /// # Errors
    /// [`NotTold::NoMonth`].
    pub fn csv_of_month(&self, month: u32) -> Result<String, NotTold> {
        let place = usize::try_from(month).ok().and_then(|month| month.checked_sub(1));
        let place = place.filter(|place| *place < MONTHS).ok_or(NotTold::NoMonth)?;
        let months = self.shown.months.as_ref();
        let total = months.and_then(|months| months.totals.get(place)).copied().unwrap_or(Figure::Hidden);
        let head = format!("{}-{month:02}", self.year);
        let mut text = BOM.to_owned() + &line(["code", "label_en", "label_ar", &head]);
        text += &self.row(("total", "All", "المجموع"), [total]);
        for (row, label) in self.labels.iter().enumerate() {
            let of = months.and_then(|months| months.rows.get(row)).and_then(|row| row.get(place)).copied();
            text += &self.row((label.code, label.en, label.ar), [of.unwrap_or(Figure::Hidden)]);
        }
        Ok(text)
    }

    fn row(&self, (code, en, ar): (&str, &str, &str), figures: impl IntoIterator<Item = Figure>) -> String {
        let figures: Vec<String> = figures.into_iter().map(figure).collect();
        line([code, en, ar].into_iter().chain(figures.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Topic, guard::Shown},
        *,
    };

    fn table(rows: &[[u64; MONTHS]]) -> Table {
        let labels = Topic::Outcome.labels();
        let rows: Vec<_> =
            (0..labels.len()).map(|place| rows.get(place).copied().unwrap_or_default()).collect();
        Table { topic: Topic::Outcome, year: 2026, labels, shown: Shown::of(&rows) }
    }

    #[test]
    fn a_spreadsheet_knows_it_and_both_languages_are_in_it() {
        let text = table(&[[20; MONTHS], [30; MONTHS]]).csv();
        let mut lines = text.split("\r\n");
        let head = lines.next().unwrap();
        assert!(
            head.starts_with("\u{feff}\"code\",\"label_en\",\"label_ar\",\"2026\",\"2026-01\""),
            "{head}"
        );
        assert!(head.ends_with("\"2026-12\""));
        let total = "\"total\",\"All\",\"المجموع\",\"600\",\"50\"";
        assert!(lines.next().unwrap().starts_with(total), "{text}");
        assert!(
            text.contains("\"going_on\",\"Accepted, going on\",\"قُبلت وما زالت جارية\",\"240\",\"20\""),
            "{text}"
        );
        let fields = |line: &str| line.matches("\",\"").count();
        assert!(text.trim_end().split("\r\n").all(|line| fields(line) == fields(head)), "{text}");
    }

    #[test]
    fn a_month_is_told_only_when_months_are() {
        let whole = table(&[[20; MONTHS], [30; MONTHS]]);
        let eleventh = whole.csv_of_month(11).unwrap();
        assert!(eleventh.contains("\"2026-11\"") && eleventh.contains("\"المجموع\",\"50\""), "{eleventh}");
        assert_eq!(whole.csv_of_month(13).err(), Some(NotTold::NoMonth));
        assert_eq!(whole.csv_of_month(0).err(), Some(NotTold::NoMonth));
        let few = table(&[[2; MONTHS]]);
        assert!(few.csv().contains("\"All\",\"المجموع\",\"25\"\r\n"), "{}", few.csv());
        assert!(few.csv_of_month(1).unwrap().contains("\"All\",\"المجموع\",\"*\"\r\n"));
        assert!(Table::notes().starts_with(BOM) && Table::notes().contains("النجمة"));
    }
}
