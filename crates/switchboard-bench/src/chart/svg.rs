//! The drawing.

use core::fmt::Write;

use super::axis::Axis;
use super::{Line, Panel, Picture, Style};

const PANEL_WIDTH: f64 = 640.0;
const PANEL_HEIGHT: f64 = 500.0;
const FOOTER_LINE: f64 = 20.0;

/// Around the axes of a panel: what titles, labels and names take.
const LEFT: f64 = 74.0;
const RIGHT: f64 = 96.0;
const TOP: f64 = 78.0;
const BOTTOM: f64 = 62.0;

const TITLE_SIZE: f64 = 19.0;
const LABEL_SIZE: f64 = 14.0;
const NOTE_SIZE: f64 = 12.5;

const INK: &str = "#24292f";
const PALE_INK: &str = "#57606a";
const GRID: &str = "#d0d7de";
const PALE_GRID: &str = "#eef1f4";
const FLOOR: &str = "#8c959f";

/// Okabe and Ito: vermilion, orange, blue, green, purple, sky blue.
const COLOURS: [&str; 6] = [
    "#d55e00", "#e69f00", "#0072b2", "#009e73", "#cc79a7", "#56b4e9",
];

/// The font of the PNG first, then what stands in for it elsewhere.
const FONTS: &str = "Noto Sans, DejaVu Sans, Verdana, Helvetica, Arial, sans-serif";

/// Draws.
#[must_use]
pub fn svg(picture: &Picture) -> String {
    let width = PANEL_WIDTH * picture.panels.len().max(1) as f64;
    let height = PANEL_HEIGHT + FOOTER_LINE * (picture.footer.len() as f64 + 0.8);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"{FONTS}\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (number, panel) in picture.panels.iter().enumerate() {
        let left = PANEL_WIDTH * number as f64;
        Sheet { out: &mut out }.panel(panel, left);
    }
    let mut sheet = Sheet { out: &mut out };
    for (number, line) in picture.footer.iter().enumerate() {
        let y = PANEL_HEIGHT + FOOTER_LINE * (number as f64 + 0.8);
        sheet.text(LEFT, y, line, &Look::small());
    }
    out.push_str("</svg>\n");
    out
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
struct Look {
    size: f64,
    fill: &'static str,
    /// `start`, `middle` or `end`.
    anchor: &'static str,
    is_bold: bool,
}

impl Look {
    const fn label(anchor: &'static str) -> Self {
        Self {
            size: LABEL_SIZE,
            fill: INK,
            anchor,
            is_bold: false,
        }
    }

    const fn small() -> Self {
        Self {
            size: NOTE_SIZE,
            fill: PALE_INK,
            anchor: "start",
            is_bold: false,
        }
    }

    const fn bold(self, fill: &'static str) -> Self {
        Self {
            fill,
            is_bold: true,
            ..self
        }
    }
}

struct Sheet<'a> {
    out: &'a mut String,
}

impl Sheet<'_> {
    fn panel(&mut self, panel: &Panel, left: f64) {
        let points = panel.lines.iter().flat_map(|line| line.points.iter());
        let x = Axis::holding(
            points.clone().map(|point| point.0),
            left + LEFT,
            left + PANEL_WIDTH - RIGHT,
        );
        let y = Axis::holding(points.map(|point| point.1), PANEL_HEIGHT - BOTTOM, TOP).to_steps();
        let title = Look {
            size: TITLE_SIZE,
            ..Look::label("start").bold(INK)
        };
        self.text(left + LEFT, 30.0, &panel.title, &title);
        self.text(left + LEFT, 52.0, &panel.note, &Look::small());
        self.grid(panel, &x, &y, left);
        let (ending, others): (Vec<_>, Vec<_>) =
            panel.lines.iter().partition(|line| line.end.is_some());
        for line in ending.into_iter().chain(others) {
            self.line(line, &x, &y);
        }
        self.names(panel, &x, &y, left);
    }

    fn grid(&mut self, panel: &Panel, x: &Axis, y: &Axis, left: f64) {
        let (west, east) = (left + LEFT, left + PANEL_WIDTH - RIGHT);
        let (north, south) = (TOP, PANEL_HEIGHT - BOTTOM);
        for value in y.lines() {
            self.rule((west, y.place(value)), (east, y.place(value)), PALE_GRID);
        }
        for value in x.lines() {
            self.rule((x.place(value), north), (x.place(value), south), PALE_GRID);
        }
        for value in y.labels() {
            let at = y.place(value);
            self.rule((west, at), (east, at), GRID);
            let label = (panel.y_label)(value);
            self.text(west - 8.0, at + 5.0, &label, &Look::label("end"));
        }
        for value in x.labels() {
            let at = x.place(value);
            self.rule((at, north), (at, south), GRID);
            let label = (panel.x_label)(value);
            self.text(at, south + 20.0, &label, &Look::label("middle"));
        }
        let middle = f64::midpoint(west, east);
        self.text(middle, south + 44.0, &panel.x_title, &Look::label("middle"));
    }

    fn line(&mut self, line: &Line, x: &Axis, y: &Axis) {
        let places: Vec<(f64, f64)> = line
            .points
            .iter()
            .map(|point| (x.place(point.0), y.place(point.1)))
            .collect();
        let path: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let path = path.join(" ");
        let colour = colour(line.style);
        let dashes = match line.style {
            Style::Floor => " stroke-dasharray=\"5 5\"",
            Style::Numbered(_) => "",
        };
        let width = match (line.style, &line.end) {
            (Style::Floor, _) => 1.6,
            // It is drawn below the others, and must be seen where one of them runs along it.
            (Style::Numbered(_), Some(_)) => 7.0,
            (Style::Numbered(_), None) => 2.6,
        };
        self.push(format_args!(
            "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"{width}\" stroke-linejoin=\"round\"{dashes}/>"
        ));
        if let Style::Numbered(number) = line.style {
            for place in places {
                self.mark(place, number, colour);
            }
        }
    }

    /// A shape for each number: square, triangle, circle, diamond.
    fn mark(&mut self, (x, y): (f64, f64), number: usize, colour: &str) {
        let corners: &[(f64, f64)] = match number % 4 {
            0 => &[(-4.5, -4.5), (4.5, -4.5), (4.5, 4.5), (-4.5, 4.5)],
            1 => &[(0.0, -6.0), (5.5, 4.5), (-5.5, 4.5)],
            2 => {
                self.push(format_args!(
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\" \
                     stroke=\"#ffffff\" stroke-width=\"1\"/>"
                ));
                return;
            }
            _ => &[(0.0, -6.2), (6.2, 0.0), (0.0, 6.2), (-6.2, 0.0)],
        };
        let corners: Vec<String> = corners
            .iter()
            .map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy))
            .collect();
        let corners = corners.join(" ");
        self.push(format_args!(
            "<polygon points=\"{corners}\" fill=\"{colour}\" stroke=\"#ffffff\" \
             stroke-width=\"1\"/>"
        ));
    }

    /// The names of the lines at their ends, moved apart where they would lie on each other.
    fn names(&mut self, panel: &Panel, x: &Axis, y: &Axis, left: f64) {
        const APART: f64 = 19.0;
        let mut names = Vec::new();
        let drawn = drawn(panel, x, y);
        for line in &panel.lines {
            let Some(&(last_x, last_y)) = line.points.last() else {
                continue;
            };
            let colour = colour(line.style);
            let (at_x, at_y) = (x.place(last_x), y.place(last_y));
            if let Some(end) = &line.end {
                self.ending((at_x, at_y), end, colour, &drawn);
            } else {
                names.push((at_y, &*line.name, colour));
            }
        }
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at: Vec<f64> = names.iter().map(|name| name.0).collect();
        let places = spread(&at, APART, (TOP, PANEL_HEIGHT - BOTTOM));
        for ((_, name, colour), at) in names.iter().zip(places) {
            let look = Look::label("start").bold(colour);
            self.text(left + PANEL_WIDTH - RIGHT + 10.0, at + 5.0, name, &look);
        }
    }

    /// A line that ends before the others: a stroke across its end, and the reason beside it,
    /// where the fewest of the `drawn` places are in its way.
    fn ending(
        &mut self,
        (x, y): (f64, f64),
        reason: &str,
        colour: &'static str,
        drawn: &[(f64, f64)],
    ) {
        let (up, down) = (y - 12.0, y + 12.0);
        self.push(format_args!(
            "<line x1=\"{x:.1}\" y1=\"{up:.1}\" x2=\"{x:.1}\" y2=\"{down:.1}\" \
             stroke=\"{colour}\" stroke-width=\"2.6\"/>"
        ));
        let width = reason.chars().count() as f64 * LABEL_SIZE * 0.6;
        let in_the_way = |(anchor, baseline): (&str, f64)| {
            let left = if anchor == "end" { x - width } else { x };
            let (low, high) = (baseline - LABEL_SIZE, baseline + 6.0);
            let inside = |place: &&(f64, f64)| {
                (left..left + width).contains(&place.0) && (low..high).contains(&place.1)
            };
            drawn.iter().filter(inside).count()
        };
        let beside = [up - 8.0, down + 20.0, up - 48.0, down + 60.0, down + 100.0];
        let places = beside
            .into_iter()
            .flat_map(|baseline| [("end", baseline), ("start", baseline)])
            .filter(|(_, baseline)| (TOP + 16.0..PANEL_HEIGHT - BOTTOM - 8.0).contains(baseline));
        if let Some((anchor, baseline)) = places.min_by_key(|place| in_the_way(*place)) {
            let look = Look::label(anchor).bold(colour);
            self.text(x, baseline, reason, &look);
        }
    }

    fn rule(&mut self, from: (f64, f64), to: (f64, f64), colour: &str) {
        self.push(format_args!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    fn text(&mut self, x: f64, y: f64, text: &str, look: &Look) {
        let weight = if look.is_bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let Look {
            size, fill, anchor, ..
        } = look;
        let text = escape(text);
        // A white edge keeps a text readable where it lies on a line.
        self.push(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" fill=\"{fill}\" \
             text-anchor=\"{anchor}\"{weight} stroke=\"#ffffff\" stroke-width=\"3\" \
             stroke-linejoin=\"round\" paint-order=\"stroke\">{text}</text>"
        ));
    }

    fn push(&mut self, element: core::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _written = writeln!(self.out, "{element}");
    }
}

/// Places on all lines of a panel, close together.
fn drawn(panel: &Panel, x: &Axis, y: &Axis) -> Vec<(f64, f64)> {
    const STEPS: u32 = 40;
    let mut places = Vec::new();
    for line in &panel.lines {
        for (from, to) in line.points.iter().zip(line.points.iter().skip(1)) {
            let (from, to) = (
                (x.place(from.0), y.place(from.1)),
                (x.place(to.0), y.place(to.1)),
            );
            for step in 0..=STEPS {
                let share = f64::from(step) / f64::from(STEPS);
                places.push((
                    from.0 + share * (to.0 - from.0),
                    from.1 + share * (to.1 - from.1),
                ));
            }
        }
    }
    places
}

fn colour(style: Style) -> &'static str {
    match style {
        Style::Floor => FLOOR,
        Style::Numbered(number) => COLOURS
            .get(number % COLOURS.len())
            .copied()
            .unwrap_or(FLOOR),
    }
}

/// Places, in growing order, moved so that neighbours are `apart` and all are within the limits as
/// far as there is room.
fn spread(wanted: &[f64], apart: f64, (low, high): (f64, f64)) -> Vec<f64> {
    let mut places: Vec<f64> = Vec::with_capacity(wanted.len());
    for place in wanted {
        let least = places.last().map_or(low, |last| last + apart);
        places.push(place.max(least));
    }
    let mut most = high;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - apart;
    }
    places
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::{Line, Panel, Picture, Style, png};
    use super::{spread, svg};

    fn picture() -> Picture {
        let line = |number, height: f64, end: Option<&str>| Line {
            name: format!("line <{number}>"),
            style: Style::Numbered(number),
            points: vec![(10.0, height), (1000.0, height * 20.0)],
            end: end.map(str::to_owned),
        };
        Picture {
            panels: vec![Panel {
                title: "cost & effect".to_owned(),
                note: "lower is better".to_owned(),
                x_title: "sockets".to_owned(),
                x_label: |value| value.to_string(),
                y_label: |value| value.to_string(),
                lines: vec![line(0, 300.0, Some("ends")), line(2, 310.0, None)],
            }],
            footer: vec!["here".to_owned()],
        }
    }

    #[test]
    fn names_are_moved_apart_and_stay_within_the_picture() {
        let places = spread(&[100.0, 101.0, 300.0, 399.0, 400.0], 20.0, (0.0, 400.0));
        assert_eq!(places, [100.0, 120.0, 300.0, 380.0, 400.0]);
        let places = spread(&[5.0, 6.0], 20.0, (10.0, 400.0));
        assert_eq!(places, [10.0, 30.0]);
    }

    #[test]
    fn the_drawing_is_well_formed_whatever_the_texts_are() {
        let drawn = svg(&picture());
        let tree = resvg::usvg::roxmltree::Document::parse(&drawn).unwrap();
        let texts: Vec<&str> = tree.descendants().filter_map(|node| node.text()).collect();
        for text in ["cost & effect", "line <2>", "ends", "here"] {
            assert!(texts.contains(&text), "no {text:?} in {texts:?}");
        }
    }

    #[test]
    fn the_pixels_show_the_lines_and_the_texts_with_no_font_of_the_system() {
        let bytes = png(&svg(&picture())).unwrap();
        let drawn = resvg::tiny_skia::Pixmap::decode_png(&bytes).unwrap();
        assert!(drawn.width() > 1000, "{}", drawn.width());
        let dark = |pixel: &resvg::tiny_skia::PremultipliedColorU8| {
            pixel.red() < 60 && pixel.green() < 60 && pixel.blue() < 70
        };
        // Ink is used for texts alone.
        let ink = drawn.pixels().iter().filter(|pixel| dark(pixel)).count();
        assert!(ink > 1000, "{ink}");
    }

    #[test]
    fn an_empty_picture_is_a_picture() {
        let mut empty = picture();
        for panel in &mut empty.panels {
            panel.lines.clear();
        }
        assert!(png(&svg(&empty)).is_ok());
    }
}
