//! The drawing itself: title, panels with axes, grid, curves and legend.

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::element::{Circle, PathElement, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, RGBColor, ShapeStyle, TextStyle, WHITE};

use super::super::numbers::{figure, percent};
use super::Error;
use super::scale::Scale;

/// Family name of the font. An SVG is shown in the one that its viewer has.
pub const FONT: &str = "sans-serif";

/// The curves of the training rows: a blue and an orange that differ in lightness too.
pub const TRAINING: RGBColor = RGBColor(37, 99, 235);
/// The curves of the validation rows.
pub const VALIDATION: RGBColor = RGBColor(234, 88, 12);

const INK: RGBColor = RGBColor(17, 24, 39);
const FAINT_INK: RGBColor = RGBColor(107, 114, 128);
const AXIS: RGBColor = RGBColor(156, 163, 175);
const GRID: RGBColor = RGBColor(229, 231, 235);

/// Points of a curve beyond which only the extremes of each stretch are drawn: there are no more
/// pixels.
const MAX_POINTS: usize = 1000;

/// A curve of no more points has a dot at each.
const MAX_DOTS: usize = 25;

/// Larger numbers are left out: differences of them would overflow.
const LARGEST: f64 = 1e300;

/// One line of a panel.
pub struct Curve {
    label: String,
    color: RGBColor,
    points: Vec<(f64, f64)>,
}

impl Curve {
    /// The curve of the points that can be drawn; `None` if there are none. A share is shown in
    /// percent.
    pub fn new(
        label: &str,
        color: RGBColor,
        points: impl Iterator<Item = (u32, f64)>,
        is_share: bool,
    ) -> Option<Self> {
        let drawable = points.filter(|(_, value)| value.abs() <= LARGEST);
        let points: Vec<(u32, f64)> = drawable.collect();
        let (_, last) = points.last()?;
        let last = if is_share {
            percent(*last)
        } else {
            figure(*last)
        };
        let factor = if is_share { 100.0 } else { 1.0 };
        let scaled = |(epoch, value): (u32, f64)| (f64::from(epoch), value * factor);
        Some(Self {
            label: format!("{label} {last}"),
            color,
            points: thin(points.into_iter().map(scaled).collect()),
        })
    }
}

/// One of the diagrams of a figure.
pub struct Panel {
    title: &'static str,
    unit: &'static str,
    x: Scale,
    y: Scale,
    curves: Vec<Curve>,
}

impl Panel {
    /// A panel of curves; `None` if there are none.
    pub fn new(title: &'static str, is_share: bool, curves: Vec<Curve>) -> Option<Self> {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let first = points().map(|point| point.0).reduce(f64::min)?;
        let last = points().map(|point| point.0).reduce(f64::max)?;
        let lowest = points().map(|point| point.1).reduce(f64::min)?;
        let highest = points().map(|point| point.1).reduce(f64::max)?;
        let bounds = match (is_share, lowest >= 0.0) {
            (true, _) => 0.0..=100.0,
            (false, true) => 0.0..=f64::MAX,
            (false, false) => f64::MIN..=f64::MAX,
        };
        Some(Self {
            title,
            unit: if is_share { " %" } else { "" },
            x: Scale::epochs(first as u32, last as u32, 8),
            y: Scale::values((lowest, highest), bounds, 6),
            curves,
        })
    }
}

/// Peculiarities of a backend of plotters.
#[derive(Clone, Copy)]
pub struct Medium {
    /// Units of the area for each pixel.
    pub scale: u32,
    /// Distance that the backend puts text above its middle, as a share of the text's size.
    pub lift: f64,
    /// True if lines are to be drawn piece by piece with round joints: plotters gives the sharp
    /// turns of a thick line long spikes in a bitmap.
    pub round_joints: bool,
}

/// Draws a figure on an area.
pub fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    name: &str,
    panels: &[Panel],
    medium: Medium,
) -> Result<(), Error> {
    let pen = Pen {
        area,
        scale: f64::from(medium.scale),
        medium,
    };
    area.fill(&WHITE).map_err(drawing)?;
    pen.text(name, (24.0, 28.0), 18.0, INK, HPos::Left)?;
    let (width, height) = area.dim_in_pixel();
    let (width, height) = (f64::from(width) / pen.scale, f64::from(height) / pen.scale);
    let share = width / panels.len() as f64;
    for (index, panel) in panels.iter().enumerate() {
        let left = share * index as f64;
        pen.panel(
            panel,
            &Frame {
                left: left + 76.0,
                right: left + share - 28.0,
                top: 96.0,
                bottom: height - 54.0,
            },
        )?;
    }
    area.present().map_err(drawing)
}

/// The rectangle between a panel's axes.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

/// Draws in pixels on an area of finer units.
struct Pen<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    scale: f64,
    medium: Medium,
}

impl<B: DrawingBackend> Pen<'_, B> {
    fn panel(&self, panel: &Panel, frame: &Frame) -> Result<(), Error> {
        let x = |value| frame.left + panel.x.position(value) * (frame.right - frame.left);
        let y = |value| frame.bottom - panel.y.position(value) * (frame.bottom - frame.top);
        for &tick in &panel.y.ticks {
            let y = y(tick);
            self.line(&[(frame.left, y), (frame.right, y)], 1.0, GRID)?;
            let label = format!("{}{}", panel.y.label(tick), panel.unit);
            self.text(&label, (frame.left - 8.0, y), 12.0, FAINT_INK, HPos::Right)?;
        }
        let base = [(frame.left, frame.bottom), (frame.right, frame.bottom)];
        self.line(&base, 1.0, AXIS)?;
        for &tick in &panel.x.ticks {
            let x = x(tick);
            self.line(&[(x, frame.bottom), (x, frame.bottom + 4.0)], 1.0, AXIS)?;
            let label = panel.x.label(tick);
            let below = (x, frame.bottom + 14.0);
            self.text(&label, below, 12.0, FAINT_INK, HPos::Center)?;
        }
        let middle = ((frame.left + frame.right) / 2.0, frame.bottom + 36.0);
        self.text("epoch", middle, 12.0, FAINT_INK, HPos::Center)?;

        self.heading(panel, frame)?;
        for curve in &panel.curves {
            let points: Vec<_> = curve.points.iter().map(|p| (x(p.0), y(p.1))).collect();
            self.line(&points, 2.0, curve.color)?;
            if points.len() <= MAX_DOTS {
                for point in points {
                    self.dot(point, 3.0, curve.color)?;
                }
            }
        }
        Ok(())
    }

    /// The panel's title at the left and its legend at the right, above the axes, where no curve
    /// can run through them.
    fn heading(&self, panel: &Panel, frame: &Frame) -> Result<(), Error> {
        let height = frame.top - 26.0;
        self.text(panel.title, (frame.left, height), 14.0, INK, HPos::Left)?;
        let mut right = frame.right;
        for curve in panel.curves.iter().rev() {
            let start = right - self.width(&curve.label, 12.0)?;
            self.text(&curve.label, (start, height), 12.0, INK, HPos::Left)?;
            let sample = [(start - 24.0, height), (start - 6.0, height)];
            self.line(&sample, 2.0, curve.color)?;
            right = start - 40.0;
        }
        Ok(())
    }

    fn line(&self, points: &[(f64, f64)], width: f64, color: RGBColor) -> Result<(), Error> {
        let points: Vec<_> = points.iter().map(|&point| self.at(point)).collect();
        let style = ShapeStyle {
            color: color.to_rgba(),
            filled: false,
            stroke_width: (width * self.scale) as u32,
        };
        if !self.medium.round_joints || points.len() == 2 {
            return self.path(points, style);
        }
        for pair in points.windows(2) {
            self.path(pair.to_vec(), style)?;
        }
        for &joint in &points {
            let radius = style.stroke_width as i32 / 2;
            let dot = Circle::new(joint, radius, color.filled());
            self.area.draw(&dot).map_err(drawing)?;
        }
        Ok(())
    }

    fn path(&self, points: Vec<(i32, i32)>, style: ShapeStyle) -> Result<(), Error> {
        let path = PathElement::new(points, style);
        self.area.draw(&path).map_err(drawing)
    }

    fn dot(&self, center: (f64, f64), radius: f64, color: RGBColor) -> Result<(), Error> {
        let radius = (radius * self.scale) as i32;
        let dot = Circle::new(self.at(center), radius, color.filled());
        self.area.draw(&dot).map_err(drawing)
    }

    /// Text of a size, centred vertically on a point.
    fn text(
        &self,
        text: &str,
        (x, y): (f64, f64),
        size: f64,
        color: RGBColor,
        align: HPos,
    ) -> Result<(), Error> {
        let at = (x, y + size * self.medium.lift);
        let style = self.style(size, color).pos(Pos::new(align, VPos::Center));
        let text = Text::new(text, self.at(at), style);
        self.area.draw(&text).map_err(drawing)
    }

    fn width(&self, text: &str, size: f64) -> Result<f64, Error> {
        let style = self.style(size, INK);
        let size = self
            .area
            .estimate_text_size(text, &style)
            .map_err(drawing)?;
        Ok(f64::from(size.0) / self.scale)
    }

    fn style(&self, size: f64, color: RGBColor) -> TextStyle<'static> {
        // Plotters divides by 1.24 to get the size that everybody else means.
        let mut style = TextStyle::from((FONT, size * 1.24 * self.scale));
        style.color = color.to_backend_color();
        style
    }

    fn at(&self, (x, y): (f64, f64)) -> (i32, i32) {
        let units = |value: f64| (value * self.scale).round() as i32;
        (units(x), units(y))
    }
}

/// The lowest and the highest point of each stretch of a long curve, in order, and its ends.
fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points;
    }
    let stretch = points.len().div_ceil(MAX_POINTS / 2);
    let mut samples = vec![points[0]];
    for stretch in points.chunks(stretch) {
        let of = |best: fn(f64, f64) -> bool| {
            (1..stretch.len()).fold(0, |best_index, index| {
                let better = best(stretch[index].1, stretch[best_index].1);
                if better { index } else { best_index }
            })
        };
        let (low, high) = (of(|a, b| a < b), of(|a, b| a > b));
        samples.push(stretch[low.min(high)]);
        samples.push(stretch[low.max(high)]);
    }
    samples.push(points[points.len() - 1]);
    samples.dedup();
    samples
}

/// An error of plotters, in one type for all backends.
fn drawing(error: impl std::fmt::Display) -> Error {
    Error::Drawing(error.to_string())
}
