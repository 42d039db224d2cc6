//! Colours. Hues are apart for the colour-blind (after Okabe and Ito), and
//! nothing is told by hue alone: lines have dashes, marks have shapes.

/// The colours of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    Light,
    Dark,
    /// As the reader's system prefers.
    Auto,
}

/// Text and lines of the same hue are dark (or light) enough to read: 4.5:1.
pub struct Palette {
    pub face: &'static str,
    pub ink: &'static str,
    pub quiet: &'static str,
    pub grid: &'static str,
    pub axis: &'static str,
    pub lines: [&'static str; 4],
    pub control: &'static str,
    pub limit: &'static str,
    pub normal: &'static str,
    pub baseline: &'static str,
}

pub const LIGHT: Palette = Palette {
    face: "#ffffff",
    ink: "#1c2127",
    quiet: "#59636e",
    grid: "#e6e9ed",
    axis: "#aab2bb",
    lines: ["#0067ad", "#a3447d", "#7a5c00", "#3d4852"],
    control: "#6b7580",
    limit: "#b83d00",
    normal: "#00776a",
    baseline: "#7548c2",
};

pub const DARK: Palette = Palette {
    face: "#14181e",
    ink: "#eceff2",
    quiet: "#a0a9b3",
    grid: "#262d35",
    axis: "#56606b",
    lines: ["#5ab4f0", "#e08bbd", "#e5c04b", "#c8d0d8"],
    control: "#98a2ad",
    limit: "#ff9a62",
    normal: "#3cc4ae",
    baseline: "#b795f5",
};

/// The style sheet of a picture in this theme.
pub fn css(theme: Theme) -> String {
    match theme {
        Theme::Light => SHAPES.to_owned() + &colours(&LIGHT),
        Theme::Dark => SHAPES.to_owned() + &colours(&DARK),
        Theme::Auto => format!(
            "{SHAPES}{}@media (prefers-color-scheme:dark){{{}}}",
            colours(&LIGHT),
            colours(&DARK)
        ),
    }
}

const SHAPES: &str = "\
.dg{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px}\
.dg-title{font-size:14px;font-weight:600}\
.dg-end{text-anchor:end}.dg-mid{text-anchor:middle}\
.dg-num{font-variant-numeric:tabular-nums}\
.dg-halo{paint-order:stroke;stroke-width:4px;stroke-linejoin:round}\
.dg-grid,.dg-axis,.dg-rule,.dg-edge,.dg-mark,.dg-lead,.dg-glyph{fill:none}\
.dg-line{fill:none;stroke-width:2px;stroke-linejoin:round;stroke-linecap:round}\
.dg-l1{stroke-dasharray:1 4}.dg-l2{stroke-dasharray:9 3 2 3}.dg-l3{stroke-width:1.2px}\
.dg-control{stroke-width:1.5px;stroke-dasharray:5 4;stroke-linecap:butt}\
.dg-rule{stroke-width:1.4px;stroke-dasharray:11 3}\
.dg-dot{stroke-width:6px;stroke-linecap:round;stroke-dasharray:none}\
.dg-lead{stroke-width:1px}\
.dg-edge{stroke-width:1px;stroke-dasharray:2 2}\
.dg-mark{stroke-width:1.2px}\
.dg-glyph{stroke-width:1.8px;stroke-linejoin:round;stroke-linecap:round}\
.dg-veil{fill-opacity:.8}.dg-band{fill-opacity:.16;stroke:none}\
.dg-gap{fill-opacity:.09;stroke:none}";

fn colours(palette: &Palette) -> String {
    let Palette { face, ink, quiet, grid, axis, control, limit, normal, baseline, .. } = palette;
    let mut css = format!(
        ".dg-face{{fill:{face}}}.dg-ink{{fill:{ink}}}.dg-quiet{{fill:{quiet}}}\
         .dg-halo{{stroke:{face}}}.dg-grid{{stroke:{grid}}}.dg-axis{{stroke:{axis}}}\
         .dg-gap{{fill:{ink}}}.dg-control{{stroke:{control}}}.dg-over-control{{fill:{control}}}\
         .dg-rule,.dg-lead{{stroke:{limit}}}.dg-word{{fill:{limit}}}\
         .dg-normal{{stroke:{normal}}}.dg-band.dg-normal{{fill:{normal};stroke:none}}\
         .dg-baseline{{stroke:{baseline}}}.dg-band.dg-baseline{{fill:{baseline};stroke:none}}\
         .dg-plain{{stroke:{quiet}}}.dg-bad{{stroke:{limit}}}\
         .dg-full.dg-plain{{fill:{quiet}}}.dg-acts{{stroke:{0}}}.dg-full.dg-acts{{fill:{0}}}\
         .dg-good{{stroke:{normal}}}",
        palette.lines[0]
    );
    for (index, line) in palette.lines.iter().enumerate() {
        css += &format!(".dg-l{index}{{stroke:{line}}}.dg-over-{index}{{fill:{line}}}");
    }
    css
}
