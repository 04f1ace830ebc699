//! A room on tokio as most people write it: a broadcast channel, and for each connection a task
//! that reads lines and one that writes what the channel gives, on the current-thread runtime.

use std::convert::Infallible;
use std::net;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::sync::mpsc;

use crate::room::{ANSWER, name};

/// Lines that a member may be behind. One that is further behind is out of the room.
const LINES_MAX: usize = 4096;

/// Answers that wait for a member.
const ANSWERS_MAX: usize = 16;

/// A line, and who said it.
#[derive(Clone)]
struct Said {
    by: usize,
    line: Arc<[u8]>,
}

pub(crate) fn serve(listener: net::TcpListener) -> Result<Infallible> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        let (room, _) = broadcast::channel(LINES_MAX);
        let mut number = 0;
        loop {
            let (stream, _) = listener.accept().await.context("accept")?;
            stream.set_nodelay(true)?;
            join(stream, number, &room);
            number += 1;
        }
    })
}

fn join(stream: TcpStream, number: usize, room: &Sender<Said>) {
    let (reader, writer) = stream.into_split();
    let (answers, answered) = mpsc::channel(ANSWERS_MAX);
    // The writer ends when the reader does, whose end of `answers` is gone then.
    tokio::spawn(write(writer, number, room.subscribe(), answered));
    tokio::spawn(read(reader, number, room.clone(), answers));
}

async fn read(
    reader: OwnedReadHalf,
    by: usize,
    room: Sender<Said>,
    answers: mpsc::Sender<()>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut line = name(by);
    let start = line.len();
    while reader.read_until(b'\n', &mut line).await? > 0 {
        if line.get(start) == Some(&b'/') {
            if answers.send(()).await.is_err() {
                break;
            }
        } else {
            let line = line.as_slice().into();
            // Nobody may be there to hear it.
            drop(room.send(Said { by, line }));
        }
        line.truncate(start);
    }
    Ok(())
}

async fn write(
    mut writer: OwnedWriteHalf,
    own: usize,
    mut room: Receiver<Said>,
    mut answers: mpsc::Receiver<()>,
) -> std::io::Result<()> {
    loop {
        tokio::select! {
            said = room.recv() => match said {
                Ok(said) if said.by == own => {}
                Ok(said) => writer.write_all(&said.line).await?,
                Err(_) => return Ok(()),
            },
            asked = answers.recv() => match asked {
                Some(()) => writer.write_all(ANSWER).await?,
                None => return Ok(()),
            },
        }
    }
}
