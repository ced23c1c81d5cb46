//! Output for users. Everything else is logged.

use std::io::{self, IsTerminal as _, Write};

use crate::environment;

/// Standard output and standard error. A reader of a pipe that has ended is not a failure; any other write error is.
pub(crate) struct Output {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    colours: bool,
    interactive: bool,
    closed: bool,
    failed: Option<io::Error>,
}

impl Output {
    /// The standard streams of this process.
    pub(crate) fn standard() -> Self {
        let wanted = environment::variable("NO_COLOR").is_none_or(|text| text.is_empty());
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            colours: wanted && io::stdout().is_terminal(),
            interactive: io::stderr().is_terminal(),
            closed: false,
            failed: None,
        }
    }

    /// Prints a line and flushes it: the parent process may wait for it.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) {
        if self.closed {
            return;
        }
        let written = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        if let Err(error) = written {
            self.closed = true;
            self.failed = (error.kind() != io::ErrorKind::BrokenPipe).then_some(error);
        }
    }

    /// Takes the first write error, for example of a full disk.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    /// Whether no more lines can be written, so that a command which only prints can end.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether lines may be coloured.
    pub(crate) fn colours(&self) -> bool {
        self.colours
    }

    /// Prints a note to standard error.
    pub(crate) fn note(&mut self, line: &str) {
        let _ = writeln!(self.err, "parlance: {line}");
    }

    /// Whether standard error is a terminal, which shows progress.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Replaces the current line of the terminal, without a line end.
    pub(crate) fn overwrite(&mut self, line: &str) {
        let _ = write!(self.err, "\r\x1b[2K{line}").and_then(|()| self.err.flush());
    }

    pub(crate) fn warning(&mut self, line: &str) {
        let _ = writeln!(self.err, "parlance: warning: {line}");
    }

    pub(crate) fn error(&mut self, lines: &str) {
        for line in lines.lines() {
            let _ = writeln!(self.err, "parlance: {line}");
        }
    }
}
