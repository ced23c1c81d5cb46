//! Tables with aligned columns and optional colours.

use std::fmt::Write as _;

const GAP: &str = "  ";
const RESET: &str = "\u{1b}[0m";

/// Meaning of a cell's colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Plain,
    Head,
    Faint,
    Good,
    Busy,
    Bad,
}

impl Paint {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Head => "\u{1b}[1m",
            Self::Faint => "\u{1b}[2m",
            Self::Good => "\u{1b}[32m",
            Self::Busy => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    paint: Paint,
    least: usize,
}

impl Cell {
    /// Replaces control characters: a terminal would execute those in the text of a message.
    pub(crate) fn new(text: impl AsRef<str>) -> Self {
        let text = text.as_ref().chars();
        Self {
            text: text.map(|c| if c.is_control() { ' ' } else { c }).collect(),
            paint: Paint::Plain,
            least: 0,
        }
    }

    pub(crate) fn paint(self, paint: Paint) -> Self {
        Self { paint, ..self }
    }

    /// Sets a minimum width, so that lines that are printed one by one are aligned.
    pub(crate) fn at_least(self, least: usize) -> Self {
        Self { least, ..self }
    }

    /// Limits the number of characters.
    pub(crate) fn at_most(mut self, most: usize) -> Self {
        if let Some((end, _)) = self.text.char_indices().nth(most) {
            self.text.truncate(end);
            self.text.push('\u{2026}');
        }
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.trim().is_empty()
    }

    fn width(&self) -> usize {
        self.text.chars().count().max(self.least)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Vec<Cell>>);

impl Table {
    pub(crate) fn with_head<const N: usize>(head: [&str; N]) -> Self {
        let cells = head
            .into_iter()
            .map(|name| Cell::new(name).paint(Paint::Head));
        Self(vec![cells.collect()])
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.0.push(cells.into_iter().collect());
    }

    /// The last cell of a row is not padded and does not count for the width of its column.
    pub(super) fn lines(&self, colours: bool) -> Vec<String> {
        let columns = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let width = |n: usize| {
            let cells = self
                .0
                .iter()
                .filter(|row| row.len() > n + 1)
                .filter_map(|row| row.get(n));
            cells.map(Cell::width).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..columns).map(width).collect();
        self.0
            .iter()
            .map(|row| line(row, &widths, colours))
            .collect()
    }
}

fn line(row: &[Cell], widths: &[usize], colours: bool) -> String {
    let mut line = String::new();
    // Padding that is written only before further text.
    let mut padding = String::new();
    for (cell, width) in row.iter().zip(widths) {
        let Cell {
            text,
            paint,
            least: _,
        } = cell;
        if !text.is_empty() {
            line.push_str(&padding);
            padding.clear();
            // Writing to a string cannot fail.
            let _ = if colours && *paint != Paint::Plain {
                write!(line, "{}{text}{RESET}", paint.code())
            } else {
                write!(line, "{text}")
            };
        }
        padding.push_str(&" ".repeat(width.saturating_sub(text.chars().count())));
        padding.push_str(GAP);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::with_head(["ID", "STATUS", "TEXT"]);
        table.row([
            Cell::new("1"),
            Cell::new("SENT").paint(Paint::Busy),
            Cell::new("\u{e4}\u{f6}"),
        ]);
        table.row([Cell::new("200"), Cell::new(""), Cell::new("")]);
        table.row([Cell::new(""), Cell::new("").at_least(9), Cell::new("x")]);
        table.row([Cell::new(""), Cell::new("a long last one")]);
        let expected = [
            "ID   STATUS     TEXT",
            "1    SENT       \u{e4}\u{f6}",
            "200",
            "                x",
            "     a long last one",
        ];
        assert_eq!(table.lines(false), expected);
        assert_eq!(
            table.lines(true)[1],
            "1    \u{1b}[33mSENT\u{1b}[0m       \u{e4}\u{f6}"
        );
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(Cell::new("a\u{1b}[2Jb\r\nc").text, "a [2Jb  c");
        assert_eq!(Cell::new("abc").at_most(2).text, "ab\u{2026}");
        assert_eq!(Cell::new("abc").at_most(3).text, "abc");
    }
}
