//! The same conversations through this library's file views and through Python's `makefile`, which
//! have to go the same way.

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use berkeley::file::{FileView, Newline, TextFile, TextReader, TextWriter, Utf8};
use berkeley::{Kind, Mode, MsgFlags, Shutdown, Socket};

use crate::support::{await_readable, unix_pair};

/// One conversation a line: mode, buffer, newline, errors, then the steps with their arguments.
const SCRIPT: &str = r#"
import socket, sys
def show(value):
    if value is None: return "wait"
    if isinstance(value, str): value = value.encode("utf-8", "surrogatepass")
    return "=" + bytes(value).hex()
def step(state, word):
    name, _, rest = word.partition(":")
    sock, peer, view = state["sock"], state["peer"], state["view"]
    text = "b" not in state["mode"]
    if name == "feed": peer.sendall(bytes.fromhex(rest)); return "ok"
    if name == "end": peer.shutdown(socket.SHUT_WR); return "ok"
    if name == "limit": sock.settimeout(float(rest)); return "ok"
    if name == "all": return show(view.read())
    if name == "read": return show(view.read(int(rest)))
    if name == "read1": return show(view.read1(int(rest)))
    if name == "into":
        buf = bytearray(int(rest))
        count = view.readinto(buf)
        return "wait" if count is None else show(buf[:count])
    if name == "line": return show(view.readline())
    if name == "lines": return " ".join(show(one) for one in view.readlines())
    if name == "write":
        data = bytes.fromhex(rest)
        return str(view.write(data.decode() if text else data))
    if name == "flush": view.flush(); return "ok"
    if name == "came":
        try: return show(peer.recv(1 << 16, socket.MSG_DONTWAIT))
        except BlockingIOError: return "nothing"
    if name == "close": view.close(); return "ok"
    if name == "second": state["second"] = sock.makefile("rb"); return "ok"
    if name == "close2": state["second"].close(); return "ok"
    if name == "leave": sock.close(); return "ok"
    raise AssertionError(name)
for line in sys.stdin:
    mode, buffering, newline, errors, *steps = line.split()
    a, b = socket.socketpair()
    options = {}
    if "b" not in mode:
        ends = {"none": None, "keep": "", "lf": "\n", "cr": "\r", "crlf": "\r\n"}
        options["newline"] = ends[newline]
        options["encoding"] = "utf-8"
        options["errors"] = errors
    view = a.makefile(mode, None if buffering == "-" else int(buffering), **options)
    state = dict(sock=a, peer=b, view=view, mode=mode, second=None)
    answers = []
    for word in steps:
        try: answers.append(step(state, word))
        except TimeoutError: answers.append("late")
        except UnicodeDecodeError: answers.append("bad")
        except OSError as error:
            answers.append("!" + "_".join(str(error).split()) if error.errno is None
                           else "errno%d" % error.errno)
    print(" ".join(answers), flush=True)
    for one in (view, state["second"], a, b):
        try: one and one.close()
        except OSError: pass
"#;

/// A view of any kind.
enum View {
    Raw(FileView),
    Reader(BufReader<FileView>),
    Writer(BufWriter<FileView>),
    Both(berkeley::file::FilePair),
    TextReader(TextReader<BufReader<FileView>>),
    TextWriter(TextWriter<BufWriter<FileView>>),
    Text(TextFile),
}

impl View {
    fn of(socket: &Arc<Socket>, words: [&str; 4]) -> Self {
        let [mode, buffering, newline, errors] = words;
        let raw = socket.makefile();
        let newline = match newline {
            "none" => Newline::Universal,
            "keep" => Newline::Keep,
            "lf" => Newline::Lf,
            "cr" => Newline::Cr,
            _ => Newline::CrLf,
        };
        let utf8 = match errors {
            "strict" => Utf8::Strict,
            _ => Utf8::Replace,
        };
        let capacity = buffering.parse().unwrap_or(8192);
        match (mode, buffering) {
            (_, "0") => Self::Raw(raw),
            ("rb", _) => Self::Reader(BufReader::with_capacity(capacity, raw)),
            ("wb", _) => Self::Writer(BufWriter::with_capacity(capacity, raw)),
            ("rwb", _) => Self::Both(raw.both()),
            ("r", _) => {
                let reader = BufReader::with_capacity(capacity, raw);
                Self::TextReader(TextReader::new(reader).newline(newline).utf8(utf8))
            }
            ("w", _) => {
                let writer = BufWriter::with_capacity(capacity, raw);
                Self::TextWriter(TextWriter::new(writer).newline(newline))
            }
            _ => Self::Text(raw.text().newline(newline).utf8(utf8)),
        }
    }

    fn bytes(&mut self) -> &mut dyn BufRead {
        match self {
            Self::Reader(view) => view,
            Self::Both(view) => view,
            _ => panic!("not a buffered reader"),
        }
    }

    fn reading(&mut self) -> &mut dyn Read {
        match self {
            Self::Raw(view) => view,
            Self::Reader(view) => view,
            Self::Both(view) => view,
            _ => panic!("not for bytes"),
        }
    }

    fn line(&mut self) -> io::Result<Vec<u8>> {
        let text = match self {
            Self::TextReader(view) => view.read_line(),
            Self::Text(view) => view.read_line(),
            _ => {
                let mut line = Vec::new();
                self.bytes().read_until(b'\n', &mut line)?;
                return Ok(line);
            }
        };
        Ok(text?.unwrap_or_default().into_bytes())
    }

    fn all(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::TextReader(view) => view.read_all().map(String::into_bytes),
            Self::Text(view) => view.read_all().map(String::into_bytes),
            _ => {
                let mut data = Vec::new();
                self.reading().read_to_end(&mut data)?;
                Ok(data)
            }
        }
    }

    /// As Python's `read(n)`: one call on a raw view, else as much as was asked for.
    fn read(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut text = String::new();
        match self {
            Self::TextReader(view) => view.read_chars(count, &mut text)?,
            Self::Text(view) => view.read_chars(count, &mut text)?,
            Self::Raw(_) => return self.read1(count),
            _ => {
                let mut data = Vec::new();
                self.reading().take(count as u64).read_to_end(&mut data)?;
                return Ok(data);
            }
        };
        Ok(text.into_bytes())
    }

    fn read1(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut data = vec![0; count];
        let len = self.reading().read(&mut data)?;
        data.truncate(len);
        Ok(data)
    }

    /// What Python calls the number of characters written.
    fn write(&mut self, data: &[u8]) -> io::Result<String> {
        let text = || std::str::from_utf8(data).unwrap();
        let count = match self {
            Self::TextWriter(view) => view.write_text(text()).map(|()| text().chars().count()),
            Self::Text(view) => view.write_text(text()).map(|()| text().chars().count()),
            Self::Raw(view) => view.write(data),
            Self::Writer(view) => view.write_all(data).map(|()| data.len()),
            Self::Both(view) => view.write_all(data).map(|()| data.len()),
            _ => panic!("not for writing"),
        };
        Ok(count?.to_string())
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::TextWriter(view) => view.flush(),
            Self::Text(view) => view.flush(),
            Self::Raw(view) => view.flush(),
            Self::Writer(view) => view.flush(),
            Self::Both(view) => view.flush(),
            _ => Ok(()),
        }
    }

    fn close(self) -> io::Result<()> {
        match self {
            Self::Raw(view) => view.close().map_err(Into::into),
            Self::Reader(view) => view.into_inner().close().map_err(Into::into),
            Self::Writer(view) => berkeley::file::close_writer(view),
            Self::Both(view) => view.close(),
            Self::TextReader(view) => {
                let view = view.into_inner().into_inner();
                view.close().map_err(Into::into)
            }
            Self::TextWriter(view) => berkeley::file::close_writer(view.into_inner()),
            Self::Text(view) => view.close(),
        }
    }
}

fn hex(data: &[u8]) -> String {
    let mut text = String::from("=");
    for byte in data {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

/// One end of the conversation, with its views.
struct Talk {
    socket: Option<Arc<Socket>>,
    peer: Socket,
    view: Option<View>,
    second: Option<BufReader<FileView>>,
}

impl Talk {
    fn step(&mut self, word: &str) -> io::Result<String> {
        let (name, rest) = word.split_once(':').unwrap_or((word, ""));
        let number = || rest.parse::<usize>().unwrap();
        let shown = |data: io::Result<Vec<u8>>| Ok(hex(&data?));
        match name {
            "feed" => self.peer.send_all(&unhex(rest))?,
            "end" => self.peer.shutdown(Shutdown::WRITE)?,
            "limit" => {
                let limit = Duration::from_secs_f64(rest.parse().unwrap());
                let socket = self.socket.as_ref().unwrap();
                socket.set_mode(Mode::Within(limit))?;
            }
            "all" => return shown(self.view().all()),
            "read" | "into" => return shown(self.view().read(number())),
            "read1" => return shown(self.view().read1(number())),
            "line" => return shown(self.view().line()),
            "lines" => {
                let mut lines = Vec::new();
                loop {
                    let line = self.view().line()?;
                    if line.is_empty() {
                        return Ok(lines.join(" "));
                    }
                    lines.push(hex(&line));
                }
            }
            "write" => return self.view().write(&unhex(rest)),
            "flush" => self.view().flush()?,
            "came" => {
                let mut buf = vec![0; 1 << 16];
                if self.socket.is_none() && self.view.is_none() && self.second.is_none() {
                    // The end, if nothing else. It is late where another test is starting a
                    // program, which has a copy of each descriptor until it is executed.
                    await_readable(&self.peer);
                }
                return Ok(match self.peer.recv(&mut buf, MsgFlags::DONTWAIT) {
                    Ok(len) => hex(&buf[..len]),
                    Err(error) if error.is_would_block() => "nothing".into(),
                    Err(error) => return Err(error.into()),
                });
            }
            "close" => self.view.take().unwrap().close()?,
            "second" => self.second = Some(self.socket.as_ref().unwrap().makefile().reader()),
            "close2" => drop(self.second.take()),
            "leave" => drop(self.socket.take()),
            other => panic!("{other}"),
        }
        Ok("ok".into())
    }

    fn view(&mut self) -> &mut View {
        self.view.as_mut().unwrap()
    }
}

fn answer(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    let (a, peer) = unix_pair(Kind::STREAM);
    a.set_mode(Mode::Block).unwrap();
    let socket = Arc::new(a);
    let view = View::of(&socket, words[..4].try_into().unwrap());
    let mut talk = Talk {
        socket: Some(socket),
        peer,
        view: Some(view),
        second: None,
    };
    let answers = words[4..].iter().map(|word| {
        talk.step(word).unwrap_or_else(|error| match error.kind() {
            ErrorKind::TimedOut => "late".into(),
            ErrorKind::InvalidData => "bad".into(),
            ErrorKind::WouldBlock => "wait".into(),
            _ => match error.raw_os_error() {
                Some(errno) => format!("errno{errno}"),
                None => format!("!{}", error.to_string().replace(' ', "_")),
            },
        })
    });
    answers.collect::<Vec<_>>().join(" ")
}

/// Compares what becomes of each conversation.
fn compare(conversations: &[String]) {
    let python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut python) = python else {
        eprintln!("skipped: needs python3");
        return;
    };
    let mut input = python.stdin.take().unwrap();
    let asked = conversations.join("\n") + "\n";
    let writer = thread::spawn(move || input.write_all(asked.as_bytes()));
    let output = python.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let theirs: Vec<_> = output.lines().collect();
    assert_eq!(theirs.len(), conversations.len(), "Python gave up");
    let mut differ = String::new();
    for (line, theirs) in conversations.iter().zip(theirs) {
        let ours = answer(line);
        if ours != theirs {
            differ.push_str(&format!("{line}\n  ours   {ours}\n  Python {theirs}\n"));
        }
    }
    assert!(differ.is_empty(), "\n{differ}");
}

/// Numbers that look random and are the same in every run.
struct Mixed(u64);

impl Mixed {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn one<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn data(&mut self, pieces: &[&[u8]]) -> String {
        let count = self.below(12);
        let data: Vec<u8> = (0..count)
            .flat_map(|_| pieces[self.below(pieces.len())].to_vec())
            .collect();
        hex(&data)[1..].into()
    }
}

const NEWLINES: [&str; 5] = ["none", "keep", "lf", "cr", "crlf"];

const TEXT: [&[u8]; 8] = [
    b"a",
    b"bc",
    b"\n",
    b"\r",
    b"\r\n",
    "\u{e9}".as_bytes(),
    "\u{20ac}".as_bytes(),
    "\u{1f600}".as_bytes(),
];

#[test]
fn bytes_are_read_as_by_python() {
    let mut mixed = Mixed(1);
    let conversations: Vec<_> = (0..300)
        .map(|_| {
            let mode = mixed.one(&["rb", "rwb"]);
            let buffering = match mode {
                "rb" => mixed.one(&["-", "0", "1", "2", "5", "4096"]),
                _ => "-",
            };
            let data = mixed.data(&TEXT);
            let mut line = format!("{mode} {buffering} - - feed:{data} end");
            for _ in 0..mixed.below(6) {
                let count = mixed.below(6) + 1;
                let step = match (mixed.below(4), buffering) {
                    // The most that one `read1` may give is Python's buffer, ours has another end.
                    (0, "-" | "4096") => format!("read1:{count}"),
                    (1, _) => format!("into:{count}"),
                    (2, "-" | "1" | "2" | "5" | "4096") => "line".into(),
                    _ => format!("read:{count}"),
                };
                line.push_str(&format!(" {step}"));
            }
            let rest = match buffering {
                "0" => "all",
                _ => mixed.one(&["all", "lines"]),
            };
            line + " " + rest + " " + "all"
        })
        .collect();
    compare(&conversations);
}

#[test]
fn text_is_read_as_by_python() {
    let mut mixed = Mixed(2);
    let conversations: Vec<_> = (0..1500)
        .map(|_| {
            let mode = mixed.one(&["r", "rw"]);
            let buffering = match mode {
                "r" => mixed.one(&["-", "1", "2", "3", "7"]),
                _ => "-",
            };
            let newline = mixed.one(&NEWLINES);
            let data = mixed.data(&TEXT);
            let mut line = format!("{mode} {buffering} {newline} strict feed:{data} end");
            for _ in 0..mixed.below(6) {
                let count = mixed.below(5);
                line.push_str(&match mixed.below(2) {
                    0 => format!(" read:{count}"),
                    _ => " line".into(),
                });
            }
            line + " " + mixed.one(&["all", "lines"]) + " all line"
        })
        .collect();
    compare(&conversations);
}

#[test]
fn what_is_no_utf8_is_replaced_as_by_python() {
    let mut mixed = Mixed(3);
    let pieces: [&[u8]; 10] = [
        b"a",
        b"\n",
        b"\xff",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\x80",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
        "\u{20ac}".as_bytes(),
    ];
    let conversations: Vec<_> = (0..400)
        .map(|_| {
            let data = mixed.data(&pieces);
            let errors = mixed.one(&["replace", "strict"]);
            let steps = match errors {
                // Python decodes ahead: its error comes before lines that are good.
                "strict" => "all".into(),
                _ => format!("read:{} line lines", mixed.below(4)),
            };
            format!("r - lf {errors} feed:{data} end {steps}")
        })
        .collect();
    compare(&conversations);
}

#[test]
fn text_and_bytes_are_written_as_by_python() {
    let mut mixed = Mixed(4);
    let conversations: Vec<_> = (0..300)
        .map(|_| {
            let mode = mixed.one(&["w", "rw", "wb", "rwb"]);
            let newline = mixed.one(&NEWLINES);
            let buffering = match mode {
                "wb" => mixed.one(&["-", "0", "4096"]),
                _ => "-",
            };
            let mut line = format!("{mode} {buffering} {newline} strict");
            for _ in 0..mixed.below(4) {
                let data = mixed.data(&TEXT);
                if data.is_empty() {
                    continue;
                }
                line.push_str(&format!(" write:{data}"));
                line.push_str(mixed.one(&["", " came", " flush came"]));
            }
            line + " " + mixed.one(&["flush came leave close came", "leave close came came"])
        })
        .collect();
    compare(&conversations);
}

#[test]
fn the_socket_closes_with_its_last_user_as_in_python() {
    let mut conversations = Vec::new();
    let orders = [
        ["leave", "close", "close2"],
        ["leave", "close2", "close"],
        ["close", "leave", "close2"],
        ["close", "close2", "leave"],
        ["close2", "leave", "close"],
        ["close2", "close", "leave"],
    ];
    for mode in ["rb", "wb", "rwb", "r", "w", "rw"] {
        for [one, two, three] in orders {
            conversations.push(format!(
                "{mode} - none strict second came {one} came {two} came {three} came"
            ));
        }
    }
    compare(&conversations);
}

#[test]
fn a_time_limit_ends_reading_and_not_writing_as_in_python() {
    let mut conversations = Vec::new();
    for (mode, buffering, read) in [
        ("rb", "-", "line"),
        ("rb", "-", "read:9"),
        ("rb", "-", "all"),
        ("rb", "7", "line"),
        ("r", "-", "line"),
        ("rw", "-", "all"),
        ("rwb", "-", "line"),
    ] {
        conversations.push(format!(
            "{mode} {buffering} none strict limit:0.02 feed:68616c66 {read} {read} feed:0a {read}"
        ));
    }
    for read in ["read:4", "into:4"] {
        conversations.push(format!(
            "rwb 0 none strict limit:0.02 {read} {read} feed:0a {read} write:78 came"
        ));
    }
    conversations.push("rwb - none strict limit:0.02 line write:78 flush came line".into());
    // A socket that does not wait latches nothing.
    for read in ["read:4", "into:4"] {
        conversations.push(format!(
            "rb 0 none strict limit:0 {read} feed:616263 {read} end {read}"
        ));
    }
    compare(&conversations);
}
