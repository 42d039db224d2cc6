//! As much of a terminal as a progress display needs: what stands on its screen after a
//! program has written to it.

pub const COLUMNS: usize = 110;

/// The screen, of any height.
#[derive(Default)]
struct Screen {
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

/// What is on the screen in the end: lines without what is blank behind them.
///
/// # Panics
/// On a command that no progress display has sent so far.
pub fn screen(written: &str) -> Vec<String> {
    let mut screen = Screen::default();
    let mut rest = written.chars();
    while let Some(char) = rest.next() {
        match char {
            '\r' => screen.column = 0,
            '\n' => screen.row += 1,
            '\u{1b}' => {
                assert_eq!(rest.next(), Some('['), "an escape that is no command of a display");
                let mut argument = String::new();
                let command = loop {
                    match rest.next().unwrap() {
                        one if one.is_ascii_alphabetic() => break one,
                        one => argument.push(one),
                    }
                };
                screen.obey(command, &argument);
            }
            char => screen.put(char),
        }
    }
    let lines = screen.rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned());
    lines.collect()
}

impl Screen {
    fn obey(&mut self, command: char, argument: &str) {
        let count = argument.parse().unwrap_or(1);
        match command {
            'A' => self.row = self.row.saturating_sub(count),
            'B' => self.row += count,
            'C' => self.column += count,
            'D' => self.column = self.column.saturating_sub(count),
            'K' => {
                let from = if argument == "2" { 0 } else { self.column };
                if let Some(row) = self.rows.get_mut(self.row) {
                    row.truncate(from);
                }
            }
            'm' => {}
            other => panic!("a display sends ESC [ {argument} {other}"),
        }
    }

    fn put(&mut self, char: char) {
        // A terminal goes on in the next line only with the character behind the last column.
        if self.column >= COLUMNS {
            (self.row, self.column) = (self.row + 1, 0);
        }
        let rows = self.rows.len().max(self.row + 1);
        self.rows.resize(rows, Vec::new());
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + 1), ' ');
        row[self.column] = char;
        self.column += 1;
    }
}

#[test]
fn a_redrawn_line_stands_there_once() {
    let written = "news\r\nold line\r\x1b[2Knew\x1b[31m!\x1b[0m\r\nbelow\x1b[1A\r\x1b[2Kagain";
    assert_eq!(screen(written), ["news", "again", "below"]);
    let full = "a".repeat(COLUMNS);
    assert_eq!(screen(&format!("{full}\rb")), [format!("b{}", &full[1..])]);
    assert_eq!(screen(&format!("{full}b")), [full.as_str(), "b"]);
}
