//! Plots as SVG text: lines, columns and heat maps. They are pure functions and use the colours of the page's style.

use std::fmt::Write as _;

use crate::results::escaped;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 230.0;
/// Room for the labels.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 40.0;
/// Where the legend stands: between the title and the panel, so that no curve crosses it.
const LEGEND: f64 = TOP - 8.0;
const BOTTOM: f64 = 38.0;

/// The label of an axis of whole numbers.
pub const COUNTED: &str = "callers";

/// A curve: what it is called and its points.
pub struct Curve<'a> {
    /// In the legend.
    pub name: &'a str,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// Curves over a common x axis; both axes begin at 0.
pub fn lines(title: &str, x_label: &str, y_label: &str, curves: &[Curve<'_>]) -> String {
    let all = || curves.iter().flat_map(|curve| &curve.points);
    let x_max = nice(all().map(|point| point.0).fold(0.0, f64::max));
    let highest = all().map(|point| point.1).fold(0.0, f64::max);
    let y_max = if y_label == COUNTED { whole(highest) } else { nice(highest) };
    let mut body = axes(x_label, y_label, x_max, y_max);
    for (number, curve) in curves.iter().enumerate() {
        let points: Vec<String> =
            curve.points.iter().map(|(x, y)| format!("{:.1},{:.1}", across(*x, x_max), up(*y, y_max))).collect();
        _ = write!(body, "<polyline class=\"c{number}\" points=\"{}\"/>", points.join(" "));
        let x = LEFT + 8.0 + 150.0 * number as f64;
        _ = write!(body, "<text class=\"l{number}\" x=\"{x}\" y=\"{LEGEND}\">{}</text>", escaped(curve.name));
    }
    picture(title, &body)
}

/// Columns of equal width: the lower end of the first, the width, the heights, and a mark on the x axis.
pub fn columns(
    title: &str,
    x_label: &str,
    start: f64,
    width: f64,
    heights: &[f64],
    mark: Option<(f64, &str)>,
) -> String {
    let x_max = nice(start + width * heights.len().max(1) as f64);
    let highest = heights.iter().copied().fold(0.0, f64::max);
    let y_max = if heights.iter().all(|height| height.fract() == 0.0) { whole(highest) } else { nice(highest) };
    let mut body = axes(x_label, "", x_max, y_max);
    for (place, height) in heights.iter().enumerate() {
        let (left, right) =
            (across(start + width * place as f64, x_max), across(start + width * (place + 1) as f64, x_max));
        let top = up(*height, y_max);
        _ = write!(
            body,
            "<rect class=\"f0\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            (right - left - 0.5).max(0.5),
            HEIGHT - BOTTOM - top
        );
    }
    if let Some((at, words)) = mark.filter(|(at, _)| *at <= x_max && *at >= 0.0) {
        let x = across(at, x_max);
        _ = write!(
            body,
            "<line class=\"mark\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/><text class=\"l1\" x=\"{:.1}\" y=\"{}\">{}</text>",
            HEIGHT - BOTTOM,
            x.min(WIDTH - 120.0),
            LEGEND,
            escaped(words)
        );
    }
    picture(title, &body)
}

/// A square of a heat map.
pub struct Square {
    /// Row and column.
    pub place: (usize, usize),
    /// 0 to 1: how dark.
    pub heat: f64,
    /// Drawn with a red frame.
    pub wrong: bool,
    /// What the pointer shows.
    pub hint: String,
}

/// Rows and columns with their names, and their squares.
pub fn heat_map(title: &str, rows: &[String], columns: &[String], squares: &[Square]) -> String {
    let size = (WIDTH / (columns.len() + 4) as f64).clamp(6.0, 22.0);
    let left = 74.0;
    let top = TOP + 26.0;
    let mut body = String::new();
    for (row, name) in rows.iter().enumerate() {
        let y = top + size * row as f64 + size * 0.75;
        _ = write!(body, "<text class=\"end\" x=\"{}\" y=\"{y:.1}\">{}</text>", left - 4.0, escaped(name));
    }
    for (column, name) in columns.iter().enumerate() {
        let x = left + size * column as f64 + size * 0.25;
        _ = write!(body, "<text x=\"{x:.1}\" y=\"{:.1}\">{}</text>", top - 6.0, escaped(name));
    }
    for square in squares {
        let (x, y) = (left + size * square.place.1 as f64, top + size * square.place.0 as f64);
        let class = if square.wrong { "wrong" } else { "cell" };
        _ = write!(
            body,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{0:.1}\" height=\"{0:.1}\" fill-opacity=\"{1:.2}\"><title>{2}</title></rect>",
            size - 1.0,
            square.heat.clamp(0.04, 1.0),
            escaped(&square.hint)
        );
    }
    let height = top + size * rows.len() as f64 + 10.0;
    sized(title, &body, height)
}

fn axes(x_label: &str, y_label: &str, x_max: f64, y_max: f64) -> String {
    let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
    let mut body = String::new();
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let (x, y) = (across(share * x_max, x_max), up(share * y_max, y_max));
        _ = write!(body, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
        _ = write!(
            body,
            "<text class=\"end\" x=\"{}\" y=\"{:.1}\">{}</text>",
            LEFT - 5.0,
            y + 4.0,
            tick(share * y_max)
        );
        // The last one ends where the panel does.
        let class = if step == 4 { "end" } else { "mid" };
        _ = write!(body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{}\">{}</text>", bottom + 14.0, tick(share * x_max));
    }
    let middle = (LEFT + right) / 2.0;
    _ = write!(body, "<text class=\"mid\" x=\"{middle}\" y=\"{}\">{}</text>", HEIGHT - 6.0, escaped(x_label));
    _ = write!(body, "<text class=\"end\" x=\"{right}\" y=\"14\">{}</text>", escaped(y_label));
    body
}

/// A number at an axis with all its digits, without zeros that say nothing.
fn tick(value: f64) -> String {
    format!("{value:.6}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn picture(title: &str, body: &str) -> String {
    sized(title, body, HEIGHT)
}

fn sized(title: &str, body: &str, height: f64) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{0}\"><text class=\"title\" x=\"{1}\" y=\"14\">{0}</text>{body}</svg>",
        escaped(title),
        LEFT
    )
}

fn across(x: f64, x_max: f64) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * x / x_max
}

fn up(y: f64, y_max: f64) -> f64 {
    let bottom = HEIGHT - BOTTOM;
    bottom - (bottom - TOP) * (y / y_max).clamp(0.0, 1.0)
}

/// The next round number, so that the quarters of an axis are round too; 1 for nothing.
fn nice(value: f64) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|step| *step >= value * 0.999).unwrap_or(10.0 * power)
}

/// The same for what is counted: its quarters are whole.
fn whole(value: f64) -> f64 {
    (nice(value) / 4.0).ceil().max(1.0) * 4.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, end) in
            [(0.0, 1.0), (f64::NAN, 1.0), (0.93, 1.0), (17.0, 20.0), (101.0, 120.0), (430.0, 600.0), (0.05, 0.06)]
        {
            assert!((nice(value) - end).abs() < 1e-9, "{value}: {}", nice(value));
        }
    }

    #[test]
    fn ticks_have_no_idle_zeros() {
        assert_eq!([0.0, 0.015, 0.25, 1.5, 24.0, 1_200.0].map(tick), ["0", "0.015", "0.25", "1.5", "24", "1200"]);
    }

    #[test]
    fn what_is_counted_has_whole_ticks() {
        assert_eq!([0.0, 3.0, 5.0, 9.0, 100.0].map(whole), [4.0, 4.0, 8.0, 12.0, 100.0]);
    }

    #[test]
    fn points_stay_inside_the_picture() {
        let curve = Curve { name: "a < b", points: vec![(0.0, 0.0), (10.0, 7.0)] };
        let svg = lines("t", "x", "y", &[curve]);
        assert!(svg.contains("points=\"56.0,192.0 548.0,59.0\""), "{svg}");
        assert!(svg.contains("a &lt; b"));
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }

    #[test]
    fn empty_data_is_an_empty_plot() {
        for svg in [lines("t", "x", "y", &[]), columns("t", "x", 0.0, 1.0, &[], None), heat_map("t", &[], &[], &[])] {
            assert!(svg.starts_with("<svg") && svg.ends_with("</svg>") && !svg.contains("NaN"), "{svg}");
        }
    }
}
