//! Lines of text over bytes.

use std::io::{self, BufRead, BufReader, BufWriter, Write};

use super::{FileView, close_writer};

/// Bytes of one line unless [`TextReader::line_bytes_max`] says otherwise: enough for any text
/// that a person wrote, and a bound for a peer that never ends its line.
pub const LINE_BYTES_MAX: usize = 16 << 20;

/// What ends a line, and whether it is translated: Python's `newline=` argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Newline {
    /// `"\r"` alone, kept in reading; in writing `"\n"` becomes `"\r"`.
    Cr,
    /// `"\r\n"` alone, kept in reading; in writing `"\n"` becomes `"\r\n"`.
    CrLf,
    /// All three, kept as they came (Python's `""`). A line that ends in `"\r"` waits for the
    /// byte behind it.
    Keep,
    /// `"\n"` alone; nothing is translated.
    Lf,
    /// All three, read as `"\n"` (Python's `None`, universal newlines). A line that ends in
    /// `"\r"` is told at once; a `"\n"` behind it is swallowed later.
    #[default]
    Universal,
}

/// What becomes of bytes that are no UTF-8: Python's `errors=` argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Utf8 {
    /// Each becomes `U+FFFD`.
    Replace,
    /// They are an error; the line that has them is lost, and the next one can be read.
    #[default]
    Strict,
}

/// Lines of text from a buffered reader, of a socket or of anything else.
///
/// ```
/// use berkeley::file::TextReader;
///
/// let mut reader = TextReader::new(&b"one\r\ntwo\rthree"[..]);
/// let lines: Result<Vec<_>, _> = reader.lines().collect();
/// assert_eq!(lines.unwrap(), ["one\n", "two\n", "three"]);
/// ```
///
/// # References
/// Python's `io.TextIOWrapper`.
#[derive(Debug)]
pub struct TextReader<R> {
    reader: R,
    newline: Newline,
    utf8: Utf8,
    line_bytes_max: usize,
    /// The beginning of a line whose end is still to come.
    begun: Vec<u8>,
    /// What is left in `begun` has its end already.
    is_whole: bool,
    /// A `"\r"` was the last byte: it has ended a line, or waits for what follows.
    after_cr: bool,
}

impl<R: BufRead> TextReader<R> {
    /// Universal newlines and strict UTF-8.
    pub const fn new(reader: R) -> Self {
        Self {
            reader,
            newline: Newline::Universal,
            utf8: Utf8::Strict,
            line_bytes_max: LINE_BYTES_MAX,
            begun: Vec::new(),
            is_whole: false,
            after_cr: false,
        }
    }

    /// With other ends of lines.
    #[must_use]
    pub const fn newline(mut self, newline: Newline) -> Self {
        self.newline = newline;
        self
    }

    /// With another treatment of what is no UTF-8.
    #[must_use]
    pub const fn utf8(mut self, utf8: Utf8) -> Self {
        self.utf8 = utf8;
        self
    }

    /// With another bound for a line, [`LINE_BYTES_MAX`] at first.
    #[must_use]
    pub const fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.line_bytes_max = bytes;
        self
    }

    /// Reads the next line with its end; `None` at the end of the stream. The last line may lack
    /// its end.
    ///
    /// # Errors
    /// Those of the reader: what there is of the line is kept, and the next call goes on with it
    /// if the reader does. `InvalidData` for a line that is no UTF-8 or longer than allowed; that
    /// piece of it is gone.
    pub fn read_line(&mut self) -> io::Result<Option<String>> {
        while !self.is_whole && self.begun.len() <= self.line_bytes_max {
            if !self.go_on()? {
                return if self.begun.is_empty() {
                    Ok(None)
                } else {
                    self.finish().map(Some)
                };
            }
        }
        self.finish().map(Some)
    }

    /// Appends the next `count` characters to `text`, and answers how many there were; fewer only
    /// at the end of the stream. Ends of lines count as they are read.
    ///
    /// # Errors
    /// As [`TextReader::read_line`]; what came before the error is in `text`.
    ///
    /// # Examples
    /// ```
    /// use berkeley::file::TextReader;
    ///
    /// let mut reader = TextReader::new("na\u{ef}ve\r\nx".as_bytes());
    /// let mut text = String::new();
    /// assert_eq!(reader.read_chars(4, &mut text).unwrap(), 4);
    /// assert_eq!(text, "na\u{ef}v");
    /// assert_eq!(reader.read_line().unwrap().unwrap(), "e\n");
    /// ```
    pub fn read_chars(&mut self, count: usize, text: &mut String) -> io::Result<usize> {
        let mut done = 0;
        let mut has_ended = false;
        while done < count {
            let is_last = self.is_whole || has_ended;
            done += self.move_chars(count - done, text, is_last)?;
            self.forget_the_moved();
            if done == count || has_ended {
                break;
            }
            has_ended = !self.go_on()?;
        }
        Ok(done)
    }

    /// What was handed out is no half of an end of a line any more.
    fn forget_the_moved(&mut self) {
        if self.newline == Newline::CrLf {
            self.after_cr = self.begun.ends_with(b"\r");
            self.is_whole &= self.begun != b"\n";
        }
        self.is_whole &= !self.begun.is_empty();
    }

    /// Moves at most so many characters from the line that has begun to `text`. Bytes at its end
    /// that may become a character wait for the next ones, unless these are the last.
    fn move_chars(&mut self, most: usize, text: &mut String, is_last: bool) -> io::Result<usize> {
        let (mut moved, mut used) = (0, 0);
        let mut failed = None;
        for chunk in self.begun.utf8_chunks() {
            let taken = chunk.valid().chars().take(most - moved);
            for character in taken {
                text.push(character);
                moved += 1;
                used += character.len_utf8();
            }
            let bad = chunk.invalid();
            if moved == most || bad.is_empty() {
                break;
            }
            let may_go_on = core::str::from_utf8(bad).is_err_and(|e| e.error_len().is_none());
            if may_go_on && !is_last && used + bad.len() == self.begun.len() {
                break;
            }
            used += bad.len();
            if self.utf8 == Utf8::Strict {
                failed = Some(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "what came is not UTF-8",
                ));
                break;
            }
            text.push(char::REPLACEMENT_CHARACTER);
            moved += 1;
        }
        self.begun.drain(..used);
        failed.map_or(Ok(moved), Err)
    }

    /// Reads what there is of the line that has begun; false at the end of the stream.
    fn go_on(&mut self) -> io::Result<bool> {
        if self.is_whole {
            return Ok(true);
        }
        loop {
            let bytes = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                self.after_cr = false;
                return Ok(false);
            }
            let (used, is_whole) = take(bytes, self.newline, &mut self.begun, &mut self.after_cr);
            self.reader.consume(used);
            // The end of a line whose last character was handed out alone ends nothing more.
            self.is_whole = is_whole && !self.begun.is_empty();
            return Ok(true);
        }
    }

    /// The lines that are left, one by one.
    pub const fn lines(&mut self) -> Lines<'_, R> {
        Lines { reader: self }
    }

    /// Reads all the text that is left.
    ///
    /// # Errors
    /// As [`TextReader::read_line`]; the lines before the error are lost. Where that matters, use
    /// [`TextReader::lines`].
    pub fn read_all(&mut self) -> io::Result<String> {
        let mut text = String::new();
        while let Some(line) = self.read_line()? {
            text.push_str(&line);
        }
        Ok(text)
    }

    /// The reader below, with what it has buffered.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Turns the bytes of a line into text.
    fn finish(&mut self) -> io::Result<String> {
        let line = core::mem::take(&mut self.begun);
        self.is_whole = false;
        if line.len() > self.line_bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line is longer than {} bytes", self.line_bytes_max),
            ));
        }
        match (String::from_utf8(line), self.utf8) {
            (Ok(text), _) => Ok(text),
            (Err(error), Utf8::Replace) => {
                Ok(String::from_utf8_lossy(error.as_bytes()).into_owned())
            }
            (Err(error), Utf8::Strict) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    }
}

/// Moves bytes to a line until it ends: how many were used, and whether it is whole.
fn take(bytes: &[u8], newline: Newline, line: &mut Vec<u8>, after_cr: &mut bool) -> (usize, bool) {
    let mut used = 0;
    for byte in bytes {
        let follows_cr = core::mem::replace(after_cr, *byte == b'\r');
        match (newline, byte) {
            // The second half of an end that has been told.
            (Newline::Universal, b'\n') if follows_cr && line.is_empty() => used += 1,
            (Newline::Universal, b'\r' | b'\n') => {
                line.push(b'\n');
                return (used + 1, true);
            }
            (Newline::Keep, _) if follows_cr && *byte != b'\n' => {
                // The "\r" before was the end; this byte belongs to the next line.
                *after_cr = false;
                return (used, true);
            }
            (Newline::Lf | Newline::Keep, b'\n') | (Newline::Cr, b'\r') => {
                line.push(*byte);
                return (used + 1, true);
            }
            (Newline::CrLf, b'\n') if follows_cr => {
                line.push(b'\n');
                return (used + 1, true);
            }
            _ => {
                line.push(*byte);
                used += 1;
            }
        }
    }
    (used, false)
}

/// The lines of a [`TextReader`], with their ends.
///
/// # References
/// Python's `io.TextIOWrapper`.
#[derive(Debug)]
pub struct Lines<'a, R> {
    reader: &'a mut TextReader<R>,
}

impl<R: BufRead> Iterator for Lines<'_, R> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.reader.read_line().transpose()
    }
}

/// Text to a writer.
///
/// # References
/// Python's `io.TextIOWrapper`.
#[derive(Debug)]
pub struct TextWriter<W> {
    writer: W,
    newline: Newline,
    is_line_buffered: bool,
}

impl<W: Write> TextWriter<W> {
    /// Lines end in `"\n"`.
    pub const fn new(writer: W) -> Self {
        Self {
            writer,
            newline: Newline::Universal,
            is_line_buffered: false,
        }
    }

    /// With other ends of lines.
    #[must_use]
    pub const fn newline(mut self, newline: Newline) -> Self {
        self.newline = newline;
        self
    }

    /// Flushes after each piece of text that has an end of line in it.
    #[must_use]
    pub const fn line_buffered(mut self) -> Self {
        self.is_line_buffered = true;
        self
    }

    /// Writes text, with its ends of lines translated.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_text(&mut self, text: &str) -> io::Result<()> {
        let end: &[u8] = match self.newline {
            Newline::Cr => b"\r",
            Newline::CrLf => b"\r\n",
            Newline::Keep | Newline::Lf | Newline::Universal => b"\n",
        };
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.writer.write_all(end)?;
            }
            self.writer.write_all(line.as_bytes())?;
        }
        if self.is_line_buffered && text.contains(['\n', '\r']) {
            return self.flush();
        }
        Ok(())
    }

    /// Sends what is buffered.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The writer below, with what it has buffered.
    pub fn into_inner(self) -> W {
        self.writer
    }
}

/// A socket as a text file, both directions.
///
/// # References
/// Python's `io.TextIOWrapper`.
#[derive(Debug)]
pub struct TextFile {
    reader: TextReader<BufReader<FileView>>,
    writer: TextWriter<BufWriter<FileView>>,
}

impl TextFile {
    pub(super) const fn new(
        reader: TextReader<BufReader<FileView>>,
        writer: TextWriter<BufWriter<FileView>>,
    ) -> Self {
        Self { reader, writer }
    }

    /// With other ends of lines, in both directions.
    #[must_use]
    pub fn newline(self, newline: Newline) -> Self {
        Self {
            reader: self.reader.newline(newline),
            writer: self.writer.newline(newline),
        }
    }

    /// With another treatment of what is no UTF-8.
    #[must_use]
    pub fn utf8(self, utf8: Utf8) -> Self {
        Self {
            reader: self.reader.utf8(utf8),
            ..self
        }
    }

    /// Sends each line when it is written, not only when the buffer is full.
    #[must_use]
    pub fn line_buffered(self) -> Self {
        Self {
            writer: self.writer.line_buffered(),
            ..self
        }
    }

    /// As [`TextReader::read_line`]. What was written is not flushed first.
    ///
    /// # Errors
    /// As [`TextReader::read_line`].
    pub fn read_line(&mut self) -> io::Result<Option<String>> {
        self.reader.read_line()
    }

    /// As [`TextReader::read_chars`]. What was written is not flushed first.
    ///
    /// # Errors
    /// As [`TextReader::read_chars`].
    pub fn read_chars(&mut self, count: usize, text: &mut String) -> io::Result<usize> {
        self.reader.read_chars(count, text)
    }

    /// As [`TextReader::read_all`].
    ///
    /// # Errors
    /// As [`TextReader::read_all`].
    pub fn read_all(&mut self) -> io::Result<String> {
        self.reader.read_all()
    }

    /// The lines that are left, one by one.
    pub const fn lines(&mut self) -> Lines<'_, BufReader<FileView>> {
        self.reader.lines()
    }

    /// As [`TextWriter::write_text`].
    ///
    /// # Errors
    /// Those of [`crate::Socket::send`], when the buffer is full.
    pub fn write_text(&mut self, text: &str) -> io::Result<()> {
        self.writer.write_text(text)
    }

    /// Sends what is buffered.
    ///
    /// # Errors
    /// Those of [`crate::Socket::send`].
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Takes the two directions apart, for two threads.
    #[must_use]
    pub fn into_parts(
        self,
    ) -> (
        TextReader<BufReader<FileView>>,
        TextWriter<BufWriter<FileView>>,
    ) {
        (self.reader, self.writer)
    }

    /// Flushes and closes both.
    ///
    /// # Errors
    /// Those of the flush, else those of [`FileView::close`].
    pub fn close(self) -> io::Result<()> {
        drop(self.reader);
        close_writer(self.writer.into_inner())
    }
}
