//! Where text goes: results to standard output, everything else to standard error.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::style::Style;
use super::{error, words};
use crate::error::{Error, Result};

/// What `--color` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Colour {
    /// Colours everywhere.
    Always,
    /// No colours.
    Never,
    /// As the environment and the terminal want it.
    #[default]
    Auto,
}

/// What decides how to print, read once where the program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Surroundings {
    /// `NO_COLOR` is set to something.
    pub no_colour: bool,
    /// `CLICOLOR_FORCE` is set to something but 0.
    pub force_colour: bool,
    /// `TERM` is `dumb`: neither colours nor a moving cursor.
    pub dumb: bool,
    /// A job of GitHub Actions.
    pub actions: bool,
    /// Standard output is a terminal.
    pub out: bool,
    /// Standard error is a terminal.
    pub err: bool,
    /// Columns of the terminal that either of them is, where it tells.
    pub columns: Option<usize>,
}

impl Surroundings {
    /// From these variables and this process' own streams.
    pub fn of(variables: &BTreeMap<String, String>) -> Self {
        let set = |name: &str| variables.get(name).map(String::as_str).filter(|value| !value.is_empty());
        Self {
            no_colour: set("NO_COLOR").is_some(),
            force_colour: set("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
            dumb: set("TERM") == Some("dumb"),
            actions: set("GITHUB_ACTIONS") == Some("true"),
            out: io::stdout().is_terminal(),
            err: io::stderr().is_terminal(),
            columns: columns(),
        }
    }

    /// `--color` before `NO_COLOR` before `CLICOLOR_FORCE` before the terminal.
    fn style(self, colour: Colour, terminal: bool) -> Style {
        let auto = !self.no_colour && (self.force_colour || (terminal && !self.dumb));
        let columns = self.columns.filter(|_| terminal && !self.actions);
        Style { coloured: colour == Colour::Always || (colour == Colour::Auto && auto), columns }
    }
}

/// The width of the terminal that is written to; a width of 0 says nothing.
fn columns() -> Option<usize> {
    let size =
        rustix::termios::tcgetwinsize(io::stdout()).or_else(|_| rustix::termios::tcgetwinsize(io::stderr())).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// A place to write to, which is given up for good when it no longer takes anything.
struct Stream {
    style: Style,
    to: Mutex<(Box<dyn Write + Send>, Option<io::Error>)>,
}

impl Stream {
    fn new(style: Style, writer: impl Write + Send + 'static) -> Self {
        Self { style, to: Mutex::new((Box::new(writer), None)) }
    }

    fn lock(&self) -> MutexGuard<'_, (Box<dyn Write + Send>, Option<io::Error>)> {
        self.to.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, text: &str) {
        let mut to = self.lock();
        let (writer, failed) = &mut *to;
        if failed.is_none() {
            *failed = writer.write_all(text.as_bytes()).and_then(|()| writer.flush()).err();
        }
    }
}

/// Both streams with how they are to be written to.
pub struct Terminal {
    out: Stream,
    err: Stream,
    live: bool,
    actions: bool,
}

impl Terminal {
    /// This process' own streams.
    pub fn stdio(colour: Colour, around: Surroundings) -> Self {
        Self {
            out: Stream::new(around.style(colour, around.out), io::stdout()),
            err: Stream::new(around.style(colour, around.err), io::stderr()),
            live: around.err && !around.dumb && !around.actions,
            actions: around.actions,
        }
    }

    /// The same without anything drawn: lines of a log come between.
    #[must_use]
    pub fn undrawn(self) -> Self {
        Self { live: false, ..self }
    }

    /// Any other writers, as if they were no terminal.
    pub fn to(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        colour: Colour,
        around: Surroundings,
    ) -> Self {
        Self {
            out: Stream::new(around.style(colour, false), out),
            err: Stream::new(around.style(colour, false), err),
            live: false,
            actions: around.actions,
        }
    }

    /// How results are to be coloured.
    pub fn style(&self) -> Style {
        self.out.style
    }

    /// How notes and diagnostics are to be coloured.
    pub fn note_style(&self) -> Style {
        self.err.style
    }

    /// Whether standard error can be drawn on.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Whether a job of GitHub Actions reads along.
    pub(super) fn is_actions(&self) -> bool {
        self.actions
    }

    /// Prints a result for people. Ends the last line where that is missing.
    pub fn print(&self, text: &str) {
        self.out.write(&self.safe(text, self.out.style));
    }

    /// Prints a result for programs, byte for byte.
    pub fn print_document(&self, text: &str) {
        self.out.write(text);
    }

    /// Says something beside the results.
    pub fn note(&self, text: &str) {
        self.err.write(&self.safe(text, self.err.style));
    }

    /// Tells an error, as an annotation too where a job reads along.
    pub fn error(&self, failure: &Error) {
        self.note(&error(failure, self.err.style));
        self.command("error", &failure.message);
    }

    /// A workflow command such as `::warning::text`; nothing outside a job.
    pub(super) fn command(&self, name: &str, text: &str) {
        if self.actions {
            let text = words::visible(text, false).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            self.err.write(&format!("::{name}::{text}\n"));
        }
    }

    /// Without what could take hold of a terminal or of a job, and with a line end.
    fn safe(&self, text: &str, style: Style) -> String {
        let mut safe = words::visible(text, style.coloured);
        if self.actions {
            // A job's runner obeys lines that start with `::` and anything after `##[`.
            safe = safe.replace("##[", "# #[");
            let lines =
                safe.lines().map(|line| line.replacen("::", ": :", usize::from(line.trim_start().starts_with("::"))));
            safe = lines.collect::<Vec<_>>().join("\n");
        }
        if !safe.is_empty() && !safe.ends_with('\n') {
            safe.push('\n');
        }
        safe
    }

    /// Tells whether the results were written. A reader that went away is no failure: it had enough.
    pub fn finish(&self) -> Result<()> {
        match self.out.lock().1.take() {
            Some(why) if why.kind() != ErrorKind::BrokenPipe => {
                Err(Error::machine("the results could not be written to standard output").because(why))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use super::*;

    /// What was written, readable while the terminal still holds the writer.
    #[derive(Debug, Clone, Default)]
    pub struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn captured(around: Surroundings) -> (Terminal, Captured, Captured) {
        let (out, err) = (Captured::default(), Captured::default());
        (Terminal::to(out.clone(), err.clone(), Colour::Auto, around), out, err)
    }

    #[test]
    fn the_flag_goes_before_no_color_before_force_before_the_terminal() {
        let plain = Surroundings::default();
        let no = Surroundings { no_colour: true, force_colour: true, ..plain };
        let force = Surroundings { force_colour: true, ..plain };
        let dumb = Surroundings { dumb: true, ..plain };
        let cases = [
            (Colour::Always, no, false, true),
            (Colour::Never, force, true, false),
            (Colour::Auto, no, true, false),
            (Colour::Auto, force, false, true),
            (Colour::Auto, plain, true, true),
            (Colour::Auto, plain, false, false),
            (Colour::Auto, dumb, true, false),
        ];
        for (colour, around, terminal, expected) in cases {
            assert_eq!(around.style(colour, terminal).coloured, expected, "{colour:?} {around:?} {terminal}");
        }
    }

    #[test]
    fn variables_that_are_set_to_nothing_are_not_set() {
        let variables =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let none =
            Surroundings::of(&variables(&[("NO_COLOR", ""), ("CLICOLOR_FORCE", "0"), ("GITHUB_ACTIONS", "false")]));
        assert!(!none.no_colour && !none.force_colour && !none.actions);
        let all = Surroundings::of(&variables(&[
            ("NO_COLOR", "1"),
            ("CLICOLOR_FORCE", "1"),
            ("GITHUB_ACTIONS", "true"),
            ("TERM", "dumb"),
        ]));
        assert!(all.no_colour && all.force_colour && all.actions && all.dumb);
    }

    #[test]
    fn results_and_notes_go_to_their_own_streams_without_control_characters() {
        let (terminal, out, err) = captured(Surroundings::default());
        terminal.print("a result\u{1b}[2J");
        terminal.note("a note\n");
        terminal.command("warning", "nobody reads this");
        assert_eq!((out.text(), err.text()), ("a result\n".to_owned(), "a note\n".to_owned()));
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is() {
        for (kind, expected) in [(ErrorKind::BrokenPipe, true), (ErrorKind::StorageFull, false)] {
            let terminal = Terminal::to(Failing(kind), Failing(kind), Colour::Auto, Surroundings::default());
            terminal.print("a");
            terminal.print("b");
            terminal.note("c");
            assert_eq!(terminal.finish().is_ok(), expected, "{kind:?}");
        }
    }

    #[test]
    fn nothing_that_is_printed_can_command_a_jobs_runner() {
        let (terminal, out, err) = captured(Surroundings { actions: true, ..Surroundings::default() });
        terminal.print("ok\n  ::add-mask::x\na ##[error]b\n");
        terminal.command("warning", "50 % of\nit");
        assert_eq!(out.text(), "ok\n  : :add-mask::x\na # #[error]b\n");
        assert_eq!(err.text(), "::warning::50 %25 of%0Ait\n");
    }
}
