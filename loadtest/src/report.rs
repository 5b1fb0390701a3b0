//! What was measured, on what machine, and whether it is good enough.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::Failure;
use loadtest::machine::Machine;
use loadtest::statistics::percentile;

/// A generator that sends later than this in one of a hundred cases measures itself, in milliseconds.
const LATE_MS_MAX: f64 = 5.0;

/// One number.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// What was measured.
    pub(crate) name: String,
    /// The value; NaN when it could not be measured.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// The greatest value that is good enough; `None` for information.
    pub(crate) most: Option<f64>,
    /// What else a reader must know.
    pub(crate) note: String,
    /// How late the generator sent, 99th percentile in ms.
    pub(crate) generator_late_ms_p99: f64,
}

/// What a figure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Within its bound, or without one.
    Good,
    /// Beyond its bound, or not measured.
    Bad,
    /// The generator was saturated.
    Invalid,
}

impl Figure {
    /// A figure that is for information as long as it has no bound.
    pub(crate) fn new(name: &str, value: f64, unit: &'static str) -> Self {
        Self { name: name.to_owned(), value, unit, most: None, note: String::new(), generator_late_ms_p99: 0.0 }
    }

    /// With the greatest good value.
    pub(crate) fn at_most(mut self, most: f64) -> Self {
        self.most = Some(most);
        self
    }

    /// With a remark.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// With how late the generator sent each packet or request, in ms.
    pub(crate) fn late(mut self, lateness_ms: &[f64]) -> Self {
        if !lateness_ms.is_empty() {
            self.generator_late_ms_p99 = percentile(lateness_ms, 0.99);
        }
        self
    }

    /// A figure for information that cannot be measured here.
    pub(crate) fn absent(name: &str, why: &str) -> Self {
        Self::new(name, f64::NAN, "").note(why)
    }

    /// A figure that could not be measured, which is bad.
    pub(crate) fn unmeasured(name: &str, why: &Failure) -> Self {
        Self::new(name, f64::NAN, "").at_most(0.0).note(format!("not measured: {why}"))
    }

    /// What it says.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.generator_late_ms_p99 > LATE_MS_MAX {
            return Verdict::Invalid;
        }
        match self.most {
            // A value that could not be measured is not within anything.
            Some(most) if self.value.is_nan() || self.value > most => Verdict::Bad,
            _ => Verdict::Good,
        }
    }

    fn of_json(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let unit = ["us", "ms", ""].into_iter().find(|unit| value["unit"] == *unit)?;
        let figure = Self::new(value["name"].as_str()?, value["value"].as_f64()?, unit);
        Some(figure.at_most(value["at_most"].as_f64()?).note(value["note"].as_str()?))
    }

    fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value.is_finite().then_some(self.value),
            "unit": self.unit,
            "at_most": self.most,
            "verdict": self.verdict().word(),
            "note": self.note,
            "generator_late_ms_p99": self.generator_late_ms_p99,
        })
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "MISSED",
            Self::Invalid => "INVALID",
        }
    }
}

/// Figures that other programs measured: a line of JSON each, with name, value, unit, at_most and note.
pub(crate) fn read_more(path: &Path) -> Result<Vec<Figure>, Failure> {
    let wrong = |why: String| Failure(format!("{}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    text.lines().map(|line| Figure::of_json(line).ok_or_else(|| wrong(format!("no figure: {line}")))).collect()
}

/// The process's exit code: 2 when anything is invalid, else 1 when anything is bad.
pub(crate) fn exit_code(figures: &[Figure]) -> u8 {
    let any = |verdict| figures.iter().any(|figure| figure.verdict() == verdict);
    match (any(Verdict::Invalid), any(Verdict::Bad)) {
        (true, _) => 2,
        (false, true) => 1,
        (false, false) => 0,
    }
}

/// The report for people, in Markdown.
pub(crate) fn markdown(machine: &Machine, figures: &[Figure]) -> String {
    let mut text = format!("# Bench\n\n{machine}\n\n");
    text.push_str("| Figure | Value | Goal | Verdict | Remark |\n|---|---:|---:|---|---|\n");
    for figure in figures {
        let goal = figure.most.map_or("-".to_owned(), |most| format!("<= {most}"));
        let value = if figure.value.is_finite() { format!("{:.2} {}", figure.value, figure.unit) } else { "-".into() };
        let (name, verdict, note) = (&figure.name, figure.verdict().word(), &figure.note);
        _ = writeln!(text, "| {name} | {value} | {goal} | {verdict} | {note} |");
    }
    text
}

/// Writes `report.json` and `report.md`.
pub(crate) fn write(folder: &Path, machine: &Machine, figures: &[Figure]) -> Result<(), Failure> {
    std::fs::create_dir_all(folder)?;
    let figures_json: Vec<Value> = figures.iter().map(Figure::to_json).collect();
    let report = json!({ "machine": machine.to_json(), "figures": figures_json, "exit_code": exit_code(figures) });
    std::fs::write(folder.join("report.json"), format!("{report:#}\n"))?;
    std::fs::write(folder.join("report.md"), markdown(machine, figures))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_others_are_judged_like_our_own() {
        let line =
            |value: f64| json!({"name": "a", "value": value, "unit": "us", "at_most": 10.0, "note": "n"}).to_string();
        let read = |value| Figure::of_json(&line(value)).map(|figure| (figure.verdict(), figure.unit));
        assert_eq!((read(9.5), read(10.5)), (Some((Verdict::Good, "us")), Some((Verdict::Bad, "us"))));
        assert!(Figure::of_json("{\"name\": \"a\"}").is_none() && Figure::of_json("").is_none());
    }

    #[test]
    fn a_saturated_generator_outweighs_everything() {
        let good = Figure::new("a", 1.0, "ms").at_most(1.0);
        let bad = Figure::new("b", 1.1, "ms").at_most(1.0);
        let unmeasured = Figure::unmeasured("c", &Failure("why".to_owned()));
        let mut late = vec![0.1; 98];
        late.extend([6.0, 6.0]);
        let invalid = good.clone().late(&late);
        assert_eq!(exit_code(std::slice::from_ref(&good)), 0);
        assert_eq!(exit_code(&[good.clone(), bad.clone()]), 1);
        assert_eq!(exit_code(&[unmeasured]), 1);
        assert_eq!(exit_code(&[good, bad, invalid]), 2);
    }
}
