//! Line charts on logarithmic axes, as SVG and as PNG.
//!
//! There is one drawing, the SVG; the PNG is made of it with a font that comes along, so neither
//! needs anything from the system and both show the same. Lines are told apart by colour (Okabe
//! and Ito's palette, which colour-blind people can tell apart), by the shape of their points, and
//! by their names at their ends.

mod axis;
mod png;
mod svg;

pub use png::png;
pub use svg::svg;

/// Panels side by side over some lines of text.
#[derive(Debug, Clone)]
pub struct Picture {
    /// From left to right.
    pub panels: Vec<Panel>,
    /// Where the figures come from.
    pub footer: Vec<String>,
}

/// One chart.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// How it was measured, in small letters below the title.
    pub note: String,
    /// What the horizontal axis counts.
    pub x_title: String,
    /// Writes a place on the horizontal axis.
    pub x_label: fn(f64) -> String,
    /// Writes a place on the vertical axis.
    pub y_label: fn(f64) -> String,
    /// Drawn in this order.
    pub lines: Vec<Line>,
}

/// One line of a chart.
#[derive(Debug, Clone)]
pub struct Line {
    /// Stands at its end.
    pub name: String,
    /// How it looks.
    pub style: Style,
    /// From left to right; both numbers above zero.
    pub points: Vec<(f64, f64)>,
    /// Why it ends before the others: stands at its end instead of the name.
    pub end: Option<String>,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Grey and dashed: what cannot be gone below.
    Floor,
    /// A colour and a shape of its own for each number.
    Numbered(usize),
}
