//! git's progress meter. indicatif keeps the bar and renders its text; where the line ends, what pads it and when it is
//! shown follow git 2.47.3 byte for byte, since editors and CI systems read these lines.

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bstr::ByteSlice;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

use super::{RemotePaints, Terminal, message, note, raw, remote};
use crate::progress::{Event, Progress};
use crate::telemetry;

mod throughput;

use throughput::Throughput;

/// Phases that are shown only if they take long.
const DELAYED: [&str; 4] = ["Updating files", FILTERING, "Checking connectivity", "Fetching objects"];

const FILTERING: &str = "Filtering content";

/// The phases whose bytes count from the first on, since they are ours.
const WRITING: [&str; 2] = ["Writing objects", FILTERING];

/// Shows the events of an operation on stderr.
pub struct Meters {
    terminal: Terminal,
    settings: Settings,
    current: Option<Meter>,
    is_stopped: Arc<std::sync::atomic::AtomicBool>,
}

/// What of an operation is to be shown.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Meters and the server's lines.
    pub progress: bool,
    /// Whether nothing but what matters is to be shown: `--quiet`.
    pub quiet: bool,
    /// How often `--verbose` was given.
    pub verbosity: u8,
    /// The server's keywords in colour.
    pub remote_paints: RemotePaints,
}

impl Meters {
    /// Shows what `settings` say on `terminal`. Work is asked to stop once `is_stopped` is set.
    pub fn new(
        terminal: Terminal,
        settings: Settings,
        is_stopped: Arc<std::sync::atomic::AtomicBool>,
    ) -> Self {
        Self { terminal, settings, current: None, is_stopped }
    }

    fn phase(&mut self, title: &'static str, done: u64, total: Option<u64>, bytes: u64) -> &mut Meter {
        let is_same = self.current.as_ref().is_some_and(|meter| meter.title == title);
        if !is_same {
            self.current = None;
        }
        let terminal = &self.terminal;
        let meter = self.current.get_or_insert_with(|| Meter::new(title, total, terminal.clone()));
        meter.update(done, bytes);
        meter
    }
}

impl Progress for Meters {
    fn report(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Remote { line, ending } => {
                for complaint in self.settings.remote_paints.complaints() {
                    message("error", complaint.as_bstr());
                }
                raw(&remote::render(line.as_bstr(), ending, &self.terminal, &self.settings.remote_paints));
            }
            Event::Phase { title, done, total, bytes } if self.settings.progress => {
                self.phase(title, done, total, bytes).show_if_due();
            }
            Event::PhaseEnd { title, done, total, bytes } if self.settings.progress => {
                self.phase(title, done, total, bytes).finish();
                self.current = None;
            }
            Event::Warning(text) => message("warning", text.into()),
            Event::Hint(text) if !self.settings.quiet => message("warning", text.into()),
            Event::Error(text) => message("error", text.into()),
            Event::Fatal(text) => message("fatal", text.into()),
            Event::Note(text) if self.settings.progress => note(text),
            Event::Detail { level, text } if level <= self.settings.verbosity => note(text),
            Event::Phase { .. }
            | Event::PhaseEnd { .. }
            | Event::Hint(_)
            | Event::Note(_)
            | Event::Detail { .. } => {}
        }
        if self.is_stopped.load(std::sync::atomic::Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// The category of the stretches of work that meters are, as git tells of them.
const REGION: &str = "progress";

/// One meter.
struct Meter {
    title: &'static str,
    bar: ProgressBar,
    canvas: Canvas,
    terminal: Terminal,
    total: Option<u64>,
    done: u64,
    started: Instant,
    shown: Option<Shown>,
    throughput: Throughput,
    is_split: bool,
}

/// What was shown last.
struct Shown {
    at: Instant,
    percent: Option<u64>,
    length: usize,
}

impl Meter {
    fn new(title: &'static str, total: Option<u64>, terminal: Terminal) -> Self {
        let canvas = Canvas::default();
        let target = ProgressDrawTarget::term_like(Box::new(canvas.clone()));
        let bar = ProgressBar::with_draw_target(total, target);
        let template = if total.is_some() { "{git_percent}% ({pos}/{len}){msg}" } else { "{pos}{msg}" };
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("git_percent", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let percent = percent(state.pos(), state.len()).unwrap_or_default();
                // A text that does not fit is cut by the canvas, not an error.
                let _ignored = write!(out, "{percent:3}");
            });
        bar.set_style(style);
        let started = Instant::now();
        telemetry::region_entered(REGION, title);
        Self {
            title,
            bar,
            canvas,
            terminal,
            total,
            done: 0,
            started,
            shown: None,
            throughput: Throughput::new(started),
            is_split: false,
        }
    }

    fn update(&mut self, done: u64, bytes: u64) {
        self.done = done;
        self.throughput.update(bytes);
    }

    /// Shows the meter if the percentage changed or a second has passed.
    fn show_if_due(&mut self) {
        let is_due = match &self.shown {
            None => self.total.is_some() || self.started.elapsed() >= Duration::from_secs(1),
            Some(shown) => {
                shown.at.elapsed() >= Duration::from_secs(1)
                    || (self.total.is_some() && shown.percent != percent(self.done, self.total))
            }
        };
        if is_due && !self.is_held_back() && is_in_foreground(&self.terminal) {
            let throughput = self.throughput.text.clone();
            self.show(&throughput, "\r");
        }
    }

    /// Whether the phase is one of those that are shown late, and it is not late yet or nothing has come of it.
    fn is_held_back(&self) -> bool {
        let is_early = || self.started.elapsed() < Duration::from_secs(self.terminal.delay_seconds);
        self.shown.is_none() && DELAYED.contains(&self.title) && (self.done == 0 || is_early())
    }

    fn finish(&mut self) {
        // A count that never moved is not worth a line.
        let is_idle = self.total.is_none() && self.done == 0;
        if is_idle || self.is_held_back() {
            return;
        }
        self.show_if_due();
        let throughput = self.throughput.final_text(self.started, !WRITING.contains(&self.title));
        self.show(&throughput, ", done.\n");
    }

    fn show(&mut self, throughput: &str, end: &str) {
        let counters = self.draw(throughput);
        let last_length = self.shown.as_ref().map_or(0, |shown| shown.length);
        // A shorter line than the one before leaves one blank more than the difference.
        let padding = if counters.len() < last_length { last_length - counters.len() + 1 } else { 0 };
        let length = counters.len();
        let is_narrow = self.terminal.columns < self.title.len() + length + 2;
        let text = if self.is_split {
            format!("  {counters}{}{end}", " ".repeat(padding))
        } else if is_narrow {
            self.is_split = true;
            let width = self.terminal.columns.saturating_sub(self.title.len() + 1);
            format!("{}:{}\n  {counters}{end}", self.title, " ".repeat(width))
        } else {
            format!("{}: {counters}{}{end}", self.title, " ".repeat(padding))
        };
        raw(text.as_bytes());
        self.shown = Some(Shown { at: Instant::now(), percent: percent(self.done, self.total), length });
    }

    /// The counters as indicatif renders them.
    fn draw(&self, throughput: &str) -> String {
        self.bar.set_message(throughput.to_owned());
        self.bar.set_position(self.done);
        self.canvas.take();
        self.bar.force_draw();
        self.canvas.take()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        telemetry::region_left(REGION, self.title);
        // The bar has nothing more to draw.
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
    }
}

fn percent(done: u64, total: Option<u64>) -> Option<u64> {
    let total = total?;
    Some(done.saturating_mul(100).checked_div(total).unwrap_or(100))
}

/// A meter in the background would write over what the foreground does.
fn is_in_foreground(terminal: &Terminal) -> bool {
    if !terminal.is_tty {
        return true;
    }
    match rustix::termios::tcgetpgrp(io::stderr()) {
        Ok(group) => group == rustix::process::getpgrp(),
        Err(_) => true,
    }
}

/// Takes what indicatif draws instead of a terminal.
#[derive(Debug, Clone, Default)]
struct Canvas(Arc<Mutex<String>>);

impl Canvas {
    /// What was drawn since the last time, without the blanks it is filled up with.
    fn take(&self) -> String {
        let mut text = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let taken = std::mem::take(&mut *text);
        taken.trim_start_matches('\r').trim_end_matches(' ').to_owned()
    }
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        512
    }
    fn move_cursor_up(&self, _n: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_down(&self, _n: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_right(&self, _n: usize) -> io::Result<()> {
        Ok(())
    }
    fn move_cursor_left(&self, _n: usize) -> io::Result<()> {
        Ok(())
    }
    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }
    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push_str(text);
        Ok(())
    }
    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indicatif_renders_the_counters_of_git() {
        let terminal = Terminal { is_tty: false, columns: 80, is_smart: false, delay_seconds: 2 };
        let mut meter = Meter::new("Receiving objects", Some(165), terminal.clone());
        meter.update(2, 0);
        assert_eq!(meter.draw(""), "  1% (2/165)");
        meter.update(165, 0);
        assert_eq!(meter.draw(", 44.55 KiB | 1.35 MiB/s"), "100% (165/165), 44.55 KiB | 1.35 MiB/s");
        let mut meter = Meter::new("Enumerating objects", None, terminal);
        meter.update(7, 0);
        assert_eq!(meter.draw(""), "7");
    }

    #[test]
    fn what_counted_nothing_is_not_shown() {
        let terminal = Terminal { is_tty: false, columns: 80, is_smart: false, delay_seconds: 2 };
        for (total, done, is_shown) in [(None, 0, false), (None, 1, true), (Some(0), 0, true)] {
            let mut meter = Meter::new("Enumerating objects", total, terminal.clone());
            meter.update(done, 0);
            meter.finish();
            assert_eq!(meter.shown.is_some(), is_shown, "{total:?} {done}");
        }
    }
}
