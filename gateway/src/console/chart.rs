//! Small charts as SVG in the page, each with a text that says the same. Not here: the figures.

use maud::{Markup, html};

const BAR: usize = 8;
const HEIGHT: usize = 60;

/// Bars of equal width, the newest at the end of reading. `said` is what somebody hears who does not see.
pub(super) fn bars(values: &[u64], title: &str, said: &str) -> Markup {
    let most = values.iter().copied().max().unwrap_or(0).max(1);
    let width = values.len().max(1).saturating_mul(BAR);
    let bar = |value: u64| {
        let share = u128::from(value).saturating_mul(u128::try_from(HEIGHT).unwrap_or(0)) / u128::from(most);
        usize::try_from(share).unwrap_or(HEIGHT).max(usize::from(value > 0))
    };
    html! {
        figure.chart {
            figcaption { (title) }
            svg role="img" aria-label=(said) viewBox=(format!("0 0 {width} {HEIGHT}")) preserveAspectRatio="none" {
                line.axis x1="0" x2=(width) y1=(HEIGHT) y2=(HEIGHT) {}
                @for (place, value) in values.iter().enumerate() {
                    rect.bar x=(place.saturating_mul(BAR)) y=(HEIGHT.saturating_sub(bar(*value)))
                        width=(BAR.saturating_sub(1)) height=(bar(*value)) {}
                }
            }
            p.said { (said) }
        }
    }
}

/// How much of a whole, as a bar beside a number.
pub(super) fn share(part: usize, whole: usize) -> Markup {
    let width = part.min(whole).saturating_mul(100) / whole.max(1);
    html! {
        svg.share aria-hidden="true" viewBox="0 0 100 10" preserveAspectRatio="none" {
            rect.ground x="0" y="0" width="100" height="10" {}
            rect.bar x="0" y="0" width=(width) height="10" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_drawn_within_their_height() {
        let drawn = bars(&[0, 1, 1_000_000, u64::MAX], "a title", "said").into_string();
        assert_eq!(drawn.matches("<rect").count(), 4);
        assert!(drawn.contains("height=\"60\"") && drawn.contains("height=\"0\""), "{drawn}");
        assert!(drawn.contains("aria-label=\"said\""));
        assert!(bars(&[], "a title", "said").into_string().contains("<svg"));
    }
}
