//! Tables, for people in a terminal and for Markdown.

/// Rows of cells under a title. The first column is the rows' names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    /// What the figures are.
    pub title: String,
    /// The names of the columns, the first of which is the rows' own.
    pub head: Vec<String>,
    /// Each as long as `head`.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// With spaces, so that columns stand below each other.
    #[must_use]
    pub fn text(&self) -> String {
        let widths = self.widths();
        let mut out = format!("{}\n", self.title);
        for row in self.lines() {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                // Names lie to the left and figures to the right.
                let pad = " ".repeat(width - cell.chars().count());
                if column == 0 {
                    line.push_str(&format!("{cell}{pad}"));
                } else {
                    line.push_str(&format!("  {pad}{cell}"));
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// As GitHub knows it, the title above it in bold.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("**{}**\n\n", self.title);
        for (number, row) in self.lines().enumerate() {
            let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
            out.push_str(&format!("| {} |\n", cells.join(" | ")));
            if number == 0 {
                let marks = (0..row.len()).map(|column| if column == 0 { "---" } else { "--:" });
                out.push_str(&format!("| {} |\n", marks.collect::<Vec<_>>().join(" | ")));
            }
        }
        out
    }

    fn lines(&self) -> impl Iterator<Item = &Vec<String>> {
        core::iter::once(&self.head).chain(&self.rows)
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in self.lines() {
            for (column, cell) in row.iter().enumerate() {
                let width = cell.chars().count();
                match widths.get_mut(column) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        widths
    }
}

/// A number of anything, short: `940`, `36.4k`, `3.56M`. Three digits, as much as such figures
/// mean.
#[must_use]
pub fn short(value: f64) -> String {
    let (value, unit) = match value.abs() {
        large if large >= 999_500.0 => (value / 1e6, "M"),
        large if large >= 999.5 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    format!("{}{unit}", three_digits(value))
}

/// A time given in nanoseconds, in the unit that suits it: `61.9 µs`, `9.20 ms`.
#[must_use]
pub fn time(ns: f64) -> String {
    let (value, unit) = match ns.abs() {
        large if large >= 999.5e6 => (ns / 1e9, "s"),
        large if large >= 999.5e3 => (ns / 1e6, "ms"),
        large if large >= 999.5 => (ns / 1e3, "µs"),
        _ => (ns, "ns"),
    };
    format!("{} {unit}", three_digits(value))
}

/// A number with three digits, or with all in front of the point if they are more.
#[must_use]
pub fn three_digits(value: f64) -> String {
    match value.abs() {
        large if large >= 99.95 => format!("{value:.0}"),
        large if large >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// `1,000,000` for 1000000.
#[must_use]
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Table, grouped, short, time};

    fn table() -> Table {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        Table {
            title: "speed".to_owned(),
            head: row(["load", "bare", "µs"]),
            rows: vec![row(["1 x 64 B", "1.00", "7"]), row(["10", "–", "54 | 130"])],
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let expected = "speed\n\
                        load      bare        µs\n\
                        1 x 64 B  1.00         7\n\
                        10           –  54 | 130\n";
        assert_eq!(table().text(), expected);
    }

    #[test]
    fn markdown_has_as_many_cells_in_each_line() {
        let text = table().markdown();
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(lines[1], "| --- | --: | --: |");
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert!(lines.iter().all(|line| bars(line) == 4), "{text}");
    }

    #[test]
    fn numbers_are_short_and_keep_three_digits() {
        let shown = [
            0.0,
            7.0,
            99.96,
            999.4,
            999.6,
            36_449.0,
            999_600.0,
            3_560_000.0,
        ]
        .map(short);
        let expected = [
            "0.00", "7.00", "100", "999", "1.00k", "36.4k", "1.00M", "3.56M",
        ];
        assert_eq!(shown, expected.map(str::to_owned));
        assert_eq!(time(61_900.0), "61.9 µs");
        assert_eq!(time(999_600.0), "1.00 ms");
        assert_eq!(grouped(1024), "1,024");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }
}
