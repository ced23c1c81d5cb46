//! Where words to people go. Everything else is logged.

use std::io::{self, IsTerminal as _, Write};

use crate::config;

/// Two streams. That the reader of a pipe has ended is no failure; that lines cannot be written is one.
pub(crate) struct Output {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    colours: bool,
    watched: bool,
    closed: bool,
    failed: Option<io::Error>,
}

impl Output {
    /// This program's own.
    pub(crate) fn standard() -> Self {
        let wanted = config::variable("NO_COLOR").is_none_or(|text| text.is_empty());
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            colours: wanted && io::stdout().is_terminal(),
            watched: io::stderr().is_terminal(),
            closed: false,
            failed: None,
        }
    }

    /// One line, seen at once: whoever started us may wait for it.
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

    /// Why lines were lost, if some were: a full disk, for example.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failed.take()
    }

    /// Whether no line can be written any more: a command that does nothing else can end.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether lines may be coloured.
    pub(crate) fn colours(&self) -> bool {
        self.colours
    }

    /// Beside the lines, for people only.
    pub(crate) fn note(&mut self, line: &str) {
        let _ = writeln!(self.err, "parlance: {line}");
    }

    /// Whether somebody sees what is overwritten.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// In the place of what was written so before, and without an end.
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
