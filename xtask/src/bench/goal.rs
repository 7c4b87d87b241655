//! What is to be reached, and whether it is.

/// The quartiles of what the rounds have shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Quartiles {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Quartiles {
    /// `None` of nothing.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_unstable_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        // Between two rounds it is in proportion to both.
        let at = |part: f64| {
            let place = part * last as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Some(Self { low: at(0.25), median: at(0.5), high: at(0.75) })
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    /// The worse quartile decides.
    pub(super) fn verdict(self, quartiles: Quartiles) -> String {
        let (words, bound, is_met) = match self {
            Self::AtMost(most) => ("at most", most, quartiles.high <= most),
            Self::AtLeast(least) => ("at least", least, quartiles.low >= least),
        };
        format!("{words} {bound}: {}", if is_met { "met" } else { "missed" })
    }
}

/// What is printed, and what of it is to be printed once more at the end.
#[derive(Default)]
pub(super) struct Report {
    goals: Vec<String>,
}

impl Report {
    /// The head of a table.
    pub(super) fn head(&self, title: &str) {
        println!("\n{title:<66} {:>7}  {:>15}  goal", "median", "quartiles");
    }

    pub(super) fn line(&mut self, title: &str, what: &str, quartiles: Quartiles, goal: Option<Goal>) {
        println!("{}", line(what, quartiles, goal));
        if goal.is_some() {
            let what = if title.is_empty() { what.into() } else { format!("{title}: {what}") };
            self.goals.push(line(&what, quartiles, goal));
        }
    }

    /// Prints the lines that have a goal.
    pub(super) fn close(self) {
        if !self.goals.is_empty() {
            self.head("all goals of this run");
            self.goals.iter().for_each(|line| println!("{line}"));
        }
    }
}

/// What it is, its quartiles, and the verdict.
fn line(what: &str, quartiles: Quartiles, goal: Option<Goal>) -> String {
    let Quartiles { low, median, high } = quartiles;
    let verdict = goal.map_or(String::new(), |goal| goal.verdict(quartiles));
    format!("  {what:<64} {median:>7.2}  {low:>7.2} {high:>7.2}  {verdict}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{Goal, Quartiles, line};

    #[test]
    fn quartiles_of_few_rounds_lie_between_them() {
        let quartiles = |values: &[f64]| Quartiles::of(values.to_vec());
        assert_eq!(quartiles(&[]), None);
        assert_eq!(quartiles(&[2.0]), Some(Quartiles { low: 2.0, median: 2.0, high: 2.0 }));
        assert_eq!(quartiles(&[3.0, 1.0]), Some(Quartiles { low: 1.5, median: 2.0, high: 2.5 }));
        let nine = quartiles(&[9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0]);
        assert_eq!(nine, Some(Quartiles { low: 3.0, median: 5.0, high: 7.0 }));
    }

    #[test]
    fn a_goal_is_met_if_the_worse_quartile_meets_it() {
        let quartiles = Quartiles { low: 0.88, median: 0.9, high: 0.92 };
        assert_eq!(Goal::AtMost(0.92).verdict(quartiles), "at most 0.92: met");
        assert_eq!(Goal::AtMost(0.9).verdict(quartiles), "at most 0.9: missed");
        assert_eq!(Goal::AtLeast(0.88).verdict(quartiles), "at least 0.88: met");
        assert_eq!(Goal::AtLeast(0.9).verdict(quartiles), "at least 0.9: missed");
    }

    #[test]
    fn a_line_without_a_goal_has_no_verdict() {
        let quartiles = Quartiles { low: 1.0, median: 2.0, high: 3.0 };
        assert!(line("what", quartiles, None).ends_with(" 2.00     1.00    3.00"));
    }
}
