//! Echo on tokio, three ways.
//!
//! The first is what the tutorial teaches and most people write: a task for each connection, which
//! copies between the halves of its stream by `tokio::io::copy` (8 KiB a time). It runs on the
//! current-thread runtime, the faster one on the single core that servers have here; the second
//! is the same on the runtime that a plain `#[tokio::main]` starts. The third is what one writes
//! who knows that the flow is heavy: 64 KiB of one's own for each connection, read, written, and
//! nothing between.

use std::convert::Infallible;
use std::net;

use anyhow::{Context, Result};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

const OWN_BUFFER_BYTES: usize = 64 * 1024;

pub(crate) fn serve_copying(listener: net::TcpListener) -> Result<Infallible> {
    run(&current_thread()?, listener, copy)
}

pub(crate) fn serve_copying_on_many_threads(listener: net::TcpListener) -> Result<Infallible> {
    run(
        &Builder::new_multi_thread().enable_all().build()?,
        listener,
        copy,
    )
}

pub(crate) fn serve_with_own_buffers(listener: net::TcpListener) -> Result<Infallible> {
    run(&current_thread()?, listener, answer)
}

fn current_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn run<F>(
    runtime: &Runtime,
    listener: net::TcpListener,
    serve: fn(TcpStream) -> F,
) -> Result<Infallible>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await.context("accept")?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream));
        }
    })
}

async fn copy(mut stream: TcpStream) -> io::Result<()> {
    let (mut reader, mut writer) = stream.split();
    io::copy(&mut reader, &mut writer).await.map(drop)
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; OWN_BUFFER_BYTES];
    loop {
        let len = stream.read(&mut buffer).await?;
        if len == 0 {
            return Ok(());
        }
        stream
            .write_all(buffer.get(..len).unwrap_or_default())
            .await?;
    }
}
