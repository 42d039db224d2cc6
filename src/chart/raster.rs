//! The drawing as a picture of pixels: for messages, which show no SVG.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

use super::{Chart, Theme, Width, draw};

/// Pixels to one of the layout: as sharp as a phone shows.
const SCALE: f32 = 2.0;
/// The family of the style sheet that is always there.
const FAMILY: &str = "DejaVu Sans";

/// Read once: there is no other font in a picture, whatever the machine has.
static FONTS: LazyLock<Arc<fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family(FAMILY);
    Arc::new(fonts)
});

/// Why there is no picture; a mistake of the drawing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the chart can't be made a picture: {0}")]
pub struct Undrawn(String);

/// A PNG at twice the size of [`svg`]. [`Theme::Auto`] is light: pixels can't follow the
/// reader's choice. Takes some 50 ms of a processor.
///
/// [`svg`]: super::svg
pub fn png(chart: &Chart, theme: Theme, width: Width) -> Result<Vec<u8>, Undrawn> {
    let theme = match theme {
        Theme::Light | Theme::Auto => Theme::Light,
        Theme::Dark => Theme::Dark,
    };
    let undrawn = |why: &dyn ToString| Undrawn(why.to_string());
    let options =
        Options { font_family: FAMILY.to_owned(), fontdb: FONTS.clone(), ..Options::default() };
    let drawing = draw::document(chart, width, Some(theme));
    let tree = Tree::from_str(&drawing, &options).map_err(|why| undrawn(&why))?;
    let size = tree.size().to_int_size();
    let scaled = size.scale_by(SCALE).ok_or_else(|| undrawn(&"it has no size"))?;
    let mut pixels =
        Pixmap::new(scaled.width(), scaled.height()).ok_or_else(|| undrawn(&"it is too large"))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|why| undrawn(&why))
}
