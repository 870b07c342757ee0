//! What a fast-forward brought, as git shows it: git-diff(1), "--stat", "--summary" and "--compact-summary". How the width is
//! shared between names and graph was seen in git 2.47.3.

use bstr::{BStr, BString, ByteSlice};
use unicode_width::UnicodeWidthStr;

use crate::cmd::ui::{Paint, Terminal};
use crate::repo::Config;
use crate::repo::diffstat::{Amount, Change};

/// How it is shown.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// Columns of a line.
    pub(super) columns: usize,
    /// `diff.statNameWidth`: columns of the names at most.
    pub(super) name_width: Option<usize>,
    /// `diff.statGraphWidth`: columns of the graph at most. A negative width leaves the graph as wide as the change is large.
    pub(super) graph_width: Option<i64>,
    /// `core.quotePath`: bytes above 127 are written as numbers.
    pub(super) quotes_all: bool,
    /// What is new or gone stands beside the names, not in lines of its own.
    pub(super) is_compact: bool,
    /// The colours of lines added and removed.
    pub(super) paints: [Paint; 2],
}

impl Layout {
    /// As the configuration and the terminal that stdout is want it.
    pub(super) fn new(
        config: &Config,
        terminal: &Terminal,
        is_compact: bool,
    ) -> Result<Self, crate::repo::Error> {
        let width = |key: &str| -> Result<Option<usize>, crate::repo::Error> {
            let width = config.integer(key)?.and_then(|width| usize::try_from(width).ok());
            Ok(width.filter(|width| *width > 0))
        };
        let paint = |slot, default| Paint::of_diff(terminal, config, slot, default);
        Ok(Self {
            columns: terminal.columns,
            name_width: width("diff.statNameWidth")?,
            graph_width: config.integer("diff.statGraphWidth")?.filter(|width| *width != 0),
            quotes_all: config.boolean("core.quotePath")?.unwrap_or(true),
            is_compact,
            paints: [paint("new", "green"), paint("old", "red")],
        })
    }
}

/// One line with a graph.
struct Row {
    name: BString,
    amount: Amount,
}

/// The lines that tell `changes`, each with its line feed; none if there are none.
pub(super) fn lines(changes: &[Change], layout: &Layout) -> BString {
    let mut out = BString::default();
    if changes.is_empty() {
        return out;
    }
    let rows: Vec<Row> = changes.iter().map(|change| Row::new(change, layout)).collect();
    let widths = Widths::of(&rows, layout);
    for row in &rows {
        row.put(&widths, layout, &mut out);
    }
    put_total(changes, &mut out);
    if !layout.is_compact {
        for change in changes {
            put_summary(change, layout, &mut out);
        }
    }
    out
}

/// How wide the parts of a line are.
struct Widths {
    name: usize,
    number: usize,
    graph: usize,
    /// The largest change in lines.
    most: usize,
}

impl Widths {
    fn of(rows: &[Row], layout: &Layout) -> Self {
        /// ` ` before the name, ` | ` behind it, ` ` before the graph, and one column that stays free.
        const FRAME: usize = 6;
        /// `Bin`, and what follows the number of it.
        const BINARY: usize = 3;
        let digits = |number: u64| number.to_string().len();
        let (mut most, mut longest, mut bytes) = (0, 0, 0);
        for row in rows {
            longest = longest.max(width(row.name.as_bstr()));
            match row.amount {
                Amount::Lines { added, removed } => most = most.max(added + removed),
                // `Bin 0 -> 1 bytes` without its digits
                Amount::Bytes { old, new } => bytes = bytes.max(14 + digits(old) + digits(new)),
            }
        }
        let mut number = digits(most as u64);
        if bytes > 0 {
            number = number.max(BINARY);
        }
        let columns = layout.columns.max(16 + FRAME + number);
        let graph = if most + BINARY + 1 > bytes { most } else { bytes - BINARY - 1 };
        let limit = layout.graph_width.unwrap_or(i64::MAX);
        let signed = |columns: usize| i64::try_from(columns).unwrap_or(i64::MAX);
        let mut name = longest.min(layout.name_width.unwrap_or(usize::MAX));
        let room = signed(columns) - signed(number + FRAME);
        let mut graph = signed(graph).min(limit);
        if signed(name) + graph > room {
            let share = (columns * 3 / 8).saturating_sub(number + FRAME);
            graph = graph.min(signed(share.max(6))).min(limit);
            let rest = usize::try_from(room - graph).unwrap_or(0);
            if name > rest {
                name = rest;
            } else {
                graph = room - signed(name);
            }
        }
        // as git, which takes a negative width for one that holds everything
        let graph = usize::try_from(graph).unwrap_or(usize::MAX);
        Self { name, number, graph, most }
    }

    /// How many columns `lines` are in the graph.
    fn scale(&self, lines: usize) -> usize {
        match (lines, self.most) {
            (0, _) | (_, 0) => 0,
            (lines, most) => 1 + lines * (self.graph.saturating_sub(1)) / most,
        }
    }

    /// How many columns are for lines added and removed.
    fn bars(&self, added: usize, removed: usize) -> [usize; 2] {
        if self.graph > self.most {
            return [added, removed];
        }
        let mut total = self.scale(added + removed);
        if total < 2 && added > 0 && removed > 0 {
            total = 2;
        }
        if added < removed {
            let added = self.scale(added);
            [added, total.saturating_sub(added)]
        } else {
            let removed = self.scale(removed);
            [total.saturating_sub(removed), removed]
        }
    }
}

impl Row {
    fn new(change: &Change, layout: &Layout) -> Self {
        let mut name = match &change.renamed {
            Some((from, _)) => renaming(from.as_bstr(), change.path.as_bstr(), layout.quotes_all),
            None => quoted(change.path.as_bstr(), layout.quotes_all),
        };
        if let Some(comment) = comment(change).filter(|_| layout.is_compact) {
            name.extend_from_slice(format!(" ({comment})").as_bytes());
        }
        Self { name, amount: change.amount }
    }

    fn put(&self, widths: &Widths, layout: &Layout, out: &mut BString) {
        let (dots, name) = shortened(self.name.as_bstr(), widths.name);
        let padding = widths.name.saturating_sub(dots.len() + width(name));
        let number = widths.number;
        out.extend_from_slice(format!(" {dots}").as_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(format!("{:padding$} | ", "").as_bytes());
        match self.amount {
            Amount::Bytes { old: 0, new: 0 } => {
                out.extend_from_slice(format!("{:>number$}\n", "Bin").as_bytes());
            }
            Amount::Bytes { old, new } => {
                out.extend_from_slice(format!("{:>number$} ", "Bin").as_bytes());
                let [added, removed] = &layout.paints;
                removed.put(old.to_string().as_bytes(), out);
                out.extend_from_slice(b" -> ");
                added.put(new.to_string().as_bytes(), out);
                out.extend_from_slice(b" bytes\n");
            }
            Amount::Lines { added, removed } => {
                let lines = added + removed;
                out.extend_from_slice(format!("{lines:>number$}").as_bytes());
                if lines > 0 {
                    out.push(b' ');
                }
                let bars = widths.bars(added, removed);
                for ((paint, sign), columns) in layout.paints.iter().zip(["+", "-"]).zip(bars) {
                    if columns > 0 {
                        paint.put(sign.repeat(columns).as_bytes(), out);
                    }
                }
                out.push(b'\n');
            }
        }
    }
}

/// The columns of `name`; what is no UTF-8 has one for each byte.
fn width(name: &BStr) -> usize {
    name.to_str().map_or(name.len(), UnicodeWidthStr::width)
}

/// The end of `name` that fits into `columns`, from a `/` on if there is one, and the dots before it.
fn shortened(name: &BStr, columns: usize) -> (&'static str, &BStr) {
    const DOTS: &str = "...";
    if width(name) <= columns {
        return ("", name);
    }
    let room = columns.saturating_sub(DOTS.len());
    let ends = name.char_indices().map(|(_, end, _)| end);
    let rests = ends.filter_map(|end| name.get(end..));
    let rest = rests.map(BStr::new).find(|rest| width(rest) <= room).unwrap_or_default();
    (DOTS, rest.find_byte(b'/').and_then(|slash| rest.get(slash..)).map_or(rest, BStr::new))
}

/// ` 3 files changed, 1 insertion(+), 2 deletions(-)`
fn put_total(changes: &[Change], out: &mut BString) {
    let (mut insertions, mut deletions) = (0, 0);
    for change in changes {
        if let Amount::Lines { added, removed } = change.amount {
            insertions += added;
            deletions += removed;
        }
    }
    let plural = |count| if count == 1 { "" } else { "s" };
    let files = changes.len();
    let mut line = format!(" {files} file{} changed", plural(files));
    if insertions > 0 || deletions == 0 {
        line.push_str(&format!(", {insertions} insertion{}(+)", plural(insertions)));
    }
    if deletions > 0 || insertions == 0 {
        line.push_str(&format!(", {deletions} deletion{}(-)", plural(deletions)));
    }
    line.push('\n');
    out.extend_from_slice(line.as_bytes());
}

/// What is new, gone, renamed or of another mode.
fn put_summary(change: &Change, layout: &Layout, out: &mut BString) {
    let octal = |mode: u16| format!("{mode:06o}");
    let name = quoted(change.path.as_bstr(), layout.quotes_all);
    let mut line = BString::from(" ");
    match (change.old, change.new, &change.renamed) {
        (None, Some(mode), _) => {
            line.extend_from_slice(format!("create mode {} ", octal(mode)).as_bytes());
            line.extend_from_slice(&name);
        }
        (Some(mode), None, _) => {
            line.extend_from_slice(format!("delete mode {} ", octal(mode)).as_bytes());
            line.extend_from_slice(&name);
        }
        (Some(old), Some(new), Some((from, percent))) => {
            line.extend_from_slice(b"rename ");
            line.extend_from_slice(&renaming(from.as_bstr(), change.path.as_bstr(), layout.quotes_all));
            line.extend_from_slice(format!(" ({percent}%)").as_bytes());
            if old != new {
                line.extend_from_slice(format!("\n mode change {} => {}", octal(old), octal(new)).as_bytes());
            }
        }
        (Some(old), Some(new), None) if old != new => {
            line.extend_from_slice(format!("mode change {} => {} ", octal(old), octal(new)).as_bytes());
            line.extend_from_slice(&name);
        }
        _ => return,
    }
    line.push(b'\n');
    out.extend_from_slice(&line);
}

/// What `--compact-summary` says beside a name.
fn comment(change: &Change) -> Option<&'static str> {
    const EXECUTABLE: u16 = 0o100_755;
    const LINK: u16 = 0o120_000;
    match (change.old, change.new) {
        (None, Some(EXECUTABLE)) => Some("new +x"),
        (None, Some(LINK)) => Some("new +l"),
        (None, Some(_)) => Some("new"),
        (Some(_), None) => Some("gone"),
        (Some(old), Some(new)) if old == new => None,
        (Some(_), Some(LINK)) => Some("mode +l"),
        (Some(LINK), Some(_)) => Some("mode -l"),
        (Some(_), Some(EXECUTABLE)) => Some("mode +x"),
        (Some(EXECUTABLE), Some(_)) => Some("mode -x"),
        _ => None,
    }
}

/// `old => new`, with what both have in common written once: `a/{b => c}/d`.
fn renaming(old: &BStr, new: &BStr, quotes_all: bool) -> BString {
    let quoted_names = [quoted(old, quotes_all), quoted(new, quotes_all)];
    if quoted_names[0] != old || quoted_names[1] != new {
        return BString::from(bstr::join(" => ", quoted_names));
    }
    let same = old.iter().zip(new.iter()).take_while(|(a, b)| a == b).count();
    let begin = old.get(..same).and_then(|same| same.rfind_byte(b'/')).map_or(0, |slash| slash + 1);
    // what both end with begins with a slash, which may be the last one of what both begin with
    let room = old.len().min(new.len()).saturating_sub(begin.saturating_sub(1));
    let tails = old.iter().rev().zip(new.iter().rev()).take(room);
    let same = tails.take_while(|(a, b)| a == b).count();
    let tail = old.get(old.len() - same..).unwrap_or_default();
    let tail = tail.find_byte(b'/').and_then(|slash| tail.get(slash..)).unwrap_or_default();
    let middle =
        |name: &BStr| name.get(begin..(name.len() - tail.len()).max(begin)).unwrap_or_default().to_vec();
    let middle = [middle(old), b" => ".to_vec(), middle(new)].concat();
    let (left, right) = if begin == 0 && tail.is_empty() { ("", "") } else { ("{", "}") };
    let head = old.get(..begin).unwrap_or_default();
    [head, left.as_bytes(), &middle, right.as_bytes(), tail].concat().into()
}

/// `path` in double quotes with escapes as of C where it needs them: control characters, quotes, backslashes and, with
/// `quotes_all`, bytes above 127. git-config(1), "core.quotePath".
fn quoted(path: &BStr, quotes_all: bool) -> BString {
    let needs = |byte: &u8| {
        *byte < b' ' || *byte == 0x7f || matches!(byte, b'"' | b'\\') || quotes_all && *byte > 0x7f
    };
    if !path.iter().any(needs) {
        return path.to_owned();
    }
    let mut out = BString::from("\"");
    for byte in path.iter() {
        let letter = match byte {
            0x07 => b'a',
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0b => b'v',
            0x0c => b'f',
            b'\r' => b'r',
            b'"' | b'\\' => *byte,
            byte if needs(byte) => {
                out.extend_from_slice(format!("\\{byte:03o}").as_bytes());
                continue;
            }
            byte => {
                out.push(*byte);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
    out.push(b'"');
    out
}
