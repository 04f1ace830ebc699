//! The drawing as pixels.

use std::sync::Arc;

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use crate::BenchError;

/// Pixels for each unit of the drawing: sharp also on a fine screen.
const SCALE: f32 = 2.0;

/// Makes a PNG of an SVG that [`super::svg`] drew. Its texts are set in Noto Sans, which is part of
/// the program.
///
/// # Errors
/// [`BenchError::Picture`] if it is no SVG, or too large.
///
/// # References
/// The PNG specification, W3C, third edition; SVG 1.1.
pub fn png(svg: &str) -> Result<Vec<u8>, BenchError> {
    let wrong = |error: &dyn core::fmt::Display| BenchError::Picture(error.to_string());
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(ttf_noto_sans::REGULAR.to_vec());
    fonts.load_font_data(ttf_noto_sans::BOLD.to_vec());
    let options = Options {
        fontdb: Arc::new(fonts),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| wrong(&error))?;
    let size = tree
        .size()
        .to_int_size()
        .scale_by(SCALE)
        .ok_or_else(|| wrong(&"it is too large"))?;
    let mut pixels =
        Pixmap::new(size.width(), size.height()).ok_or_else(|| wrong(&"it is too large"))?;
    let scale = Transform::from_scale(SCALE, SCALE);
    resvg::render(&tree, scale, &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| wrong(&error))
}
