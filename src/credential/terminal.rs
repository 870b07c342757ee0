//! One question on the controlling terminal, whatever standard input and output are.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Asks `question` and reads one line of at most `len_max` bytes; what is typed is shown if `echo`.
pub(super) fn ask(question: &str, echo: bool, len_max: usize) -> io::Result<String> {
    let mut terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
    let silence = if echo { None } else { Some(Silence::begin(&terminal)?) };
    terminal.write_all(question.as_bytes())?;
    let mut line = Vec::new();
    // read_until begins anew when a signal interrupts it
    let mut input = BufReader::new(terminal.try_clone()?).take(len_max as u64);
    let count = input.read_until(b'\n', &mut line)?;
    if silence.is_some() {
        // the user's own line feed was not shown
        terminal.write_all(b"\n")?;
    }
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    String::from_utf8(text.to_vec()).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// While it lives, the terminal does not show what is typed.
struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    fn begin(terminal: &File) -> io::Result<Self> {
        let terminal = terminal.try_clone()?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        while tcsetattr(&self.terminal, OptionalActions::Flush, &self.before) == Err(rustix::io::Errno::INTR)
        {
        }
    }
}
