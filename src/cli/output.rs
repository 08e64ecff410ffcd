//! Where words go: data to stdout, everything else to stderr, colour only where it is wanted.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use anstyle::{AnsiColor, Style as Colours};

use crate::report::terminal::Style;
use crate::report::words::without_commands;
use crate::secrets::{hidden, hidden_in_lines};

/// The terminal, as far as it was found out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// Whether stdout gets colour.
    pub(crate) style: Style,
    /// Whether stderr gets colour.
    pub(crate) error_style: Style,
    /// Whether stderr is a terminal that can show a bar.
    pub(crate) interactive: bool,
}

/// Messages hold what scenarios and servers said, and bring no colours of their own.
const PLAIN: Style = Style { colour: false };

/// The first error of stdout, of which the process has only one.
static LOST: OnceLock<String> = OnceLock::new();

impl Output {
    /// Looks at the terminal, `NO_COLOR` (<https://no-color.org>) and `CLICOLOR_FORCE`.
    pub(crate) fn detect() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let coloured = |terminal: bool| !set("NO_COLOR") && (terminal || set("CLICOLOR_FORCE"));
        let interactive = io::stderr().is_terminal();
        Output {
            style: Style { colour: coloured(io::stdout().is_terminal()) },
            error_style: Style { colour: coloured(interactive) },
            interactive,
        }
    }

    /// Prints data to stdout, without logins.
    pub(crate) fn data(&self, text: &str) {
        self.own(&hidden(text));
    }

    /// Prints text to stdout that is the program's own, whose examples may show where a login stands. A reader that went away, such as `head`, has had enough; what else keeps data from being
    /// written is told by [`Output::lost`] at the end.
    pub(crate) fn own(&self, text: &str) {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        if let Err(error) = written
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            LOST.get_or_init(|| error.to_string());
        }
    }

    /// Prints lines that hold names of the user's to stdout, and makes sure that they are nothing but lines.
    pub(crate) fn text(&self, lines: &str) {
        self.data(&self.style.screened(lines));
    }

    /// Why some of the data could not be written, if so.
    pub(crate) fn lost(&self) -> Option<&'static str> {
        LOST.get().map(String::as_str)
    }

    /// Prints an error to stderr.
    pub(crate) fn error(&self, message: &str) {
        self.labelled("error", AnsiColor::Red, message);
    }

    /// Prints a warning to stderr.
    pub(crate) fn warning(&self, message: &str) {
        self.labelled("warning", AnsiColor::Yellow, message);
    }

    /// Prints a remark to stderr.
    pub(crate) fn note(&self, message: &str) {
        self.line(message);
    }

    fn labelled(&self, label: &str, colour: AnsiColor, message: &str) {
        let style = if self.error_style.colour { colour.on_default().bold() } else { Colours::new() };
        self.line(&format!("{style}{label}{style:#}: {}", PLAIN.screened(&hidden_in_lines(message))));
    }

    fn line(&self, text: &str) {
        drop(writeln!(io::stderr().lock(), "{}", without_commands(&hidden(text))));
    }
}
