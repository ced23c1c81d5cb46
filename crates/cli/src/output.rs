//! Where words to people go. Everything else is logged.

use std::io::{self, Write};

/// Two streams; a closed one is no reason to fail, since what the service does matters more than who reads along.
pub(crate) struct Output {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

impl Output {
    /// This program's own.
    pub(crate) fn standard() -> Self {
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
        }
    }

    /// One line, seen at once: whoever started us may wait for it.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.out, "{line}");
        let _ = self.out.flush();
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
