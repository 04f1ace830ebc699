//! One download: what its answers mean, and what is to be done next.

use std::time::{Duration, Instant};

use switchboard_reactor::{TimerId, Token};
use switchboard_wire::http::{
    ContentRange, HttpEvent, HttpOrigin, HttpUrl, ResponseDecoder, ResponseHead, UrlError,
    Validator, download_name, retry_after,
};
use switchboard_wire::{FileName, clean};

use super::folder::Folder;
use super::sink::Sink;
use super::{Audience, GetError, GetOptions, PROGRESS_BYTES_MIN, SKIPPED_BYTES_MAX};
use crate::tail::pauses::Pauses;

/// A download, from its first try to its end.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) url: HttpUrl,
    /// Where a redirection has led.
    pub(super) place: HttpUrl,
    /// Whom to ask there.
    pub(super) origin: HttpOrigin,
    pub(super) stage: Stage,
    pub(super) sink: Option<Sink>,
    pub(super) name: FileName,
    pub(super) status: Option<u16>,
    pub(super) tries: u32,
    pub(super) resumed_bytes: u64,
    pub(super) pauses: Pauses,
    pub(super) begun: Option<Instant>,
    /// What begins is no redirection, and no try that met a closed connection.
    is_new_try: bool,
    asked_bytes: u64,
    redirects: u32,
    failures: u32,
    /// The most that there ever was, when failures were counted anew.
    best_bytes: u64,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// For its turn.
    Waiting,
    /// For its host to be found.
    Dialling,
    Fetching(Box<Fetch>),
    /// Before the next try.
    Pausing,
    Ended,
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Fetch {
    pub(super) link: Token,
    pub(super) is_reused: bool,
    pub(super) is_connected: bool,
    pub(super) was_heard: bool,
    pub(super) heard: Instant,
    pub(super) timer: TimerId,
    pub(super) decoder: ResponseDecoder,
    pub(super) asked: Option<(u64, Validator)>,
    pub(super) body: Body,
}

/// What the body is for.
#[derive(Debug)]
pub(super) enum Body {
    /// There was no head yet.
    Unknown,
    /// It is the content, up to this byte if only a part was promised.
    Content { end: Option<u64> },
    /// Nothing: it is read to keep the connection, and then this is done.
    Skipped { bytes: u64, then: Next },
}

/// What a head asks for, other than to take the content.
#[derive(Debug)]
pub(super) enum Next {
    /// To ask elsewhere.
    Redirect(HttpUrl),
    /// To ask for all of it.
    StartOver,
    /// To give up, or try again after at least that long.
    Fail(GetError, Option<Duration>),
}

/// What the bytes that came have led to.
#[derive(Debug)]
pub(super) enum Step {
    More,
    /// For more bytes.
    Wait,
    /// The response is whole.
    Whole {
        may_reuse: bool,
    },
    /// The rest of the response is not worth waiting for.
    Enough,
    Failed(GetError),
}

impl Job {
    pub(super) fn new(url: HttpUrl) -> Self {
        Self {
            place: url.clone(),
            origin: url.origin(),
            is_new_try: true,
            asked_bytes: 0,
            stage: Stage::Waiting,
            sink: None,
            name: download_name(&url, None),
            status: None,
            tries: 0,
            resumed_bytes: 0,
            pauses: Pauses::default(),
            begun: None,
            redirects: 0,
            failures: 0,
            best_bytes: 0,
            url,
        }
    }

    pub(super) fn fetch(&mut self) -> Option<&mut Fetch> {
        match &mut self.stage {
            Stage::Fetching(fetch) => Some(fetch),
            _ => None,
        }
    }

    /// How much there was when it was asked for more.
    pub(super) const fn asked_bytes(&self) -> u64 {
        self.asked_bytes
    }

    pub(super) fn bytes(&self) -> u64 {
        self.sink.as_ref().map_or(0, Sink::bytes)
    }

    /// Counts a try that failed; true if there may be another one.
    pub(super) fn count_failure(&mut self, retries: u32) -> bool {
        let bytes = self.bytes();
        if bytes >= self.best_bytes.saturating_add(PROGRESS_BYTES_MIN) {
            self.best_bytes = bytes;
            self.failures = 0;
            self.pauses.reset();
        }
        self.failures = self.failures.saturating_add(1);
        self.failures <= retries && self.sink.as_ref().is_none_or(Sink::can_go_on)
    }

    /// Goes to another address.
    pub(super) fn follow(&mut self, place: HttpUrl, max: u32) -> Result<(), GetError> {
        self.redirects += 1;
        if self.redirects > max {
            return Err(GetError::Redirects { max });
        }
        self.origin = place.origin();
        self.place = place;
        Ok(())
    }

    /// The next try begins where the first one did: a redirection may lead elsewhere by then.
    pub(super) fn begin_anew(&mut self) {
        self.place = self.url.clone();
        self.origin = self.url.origin();
        self.redirects = 0;
        self.is_new_try = true;
    }

    /// Counts a request as a try, if it is a new one.
    pub(super) fn count_try(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
        if core::mem::take(&mut self.is_new_try) {
            self.tries = self.tries.saturating_add(1);
        }
    }

    /// Takes what has come as far as the next thing that happens.
    pub(super) fn step(
        &mut self,
        bytes: &mut &[u8],
        options: &GetOptions,
        folder: Option<&Folder>,
        audience: &mut dyn Audience,
    ) -> Step {
        let Stage::Fetching(fetch) = &mut self.stage else {
            return Step::Wait;
        };
        match fetch.decoder.push(bytes) {
            Ok(Some(HttpEvent::Head(head))) => {
                self.status = Some(head.status());
                self.begin(&head, options, folder)
            }
            Ok(Some(HttpEvent::Body(part))) => match &mut fetch.body {
                Body::Content { end } => {
                    let Some(sink) = &mut self.sink else {
                        return Step::Failed(GetError::Range);
                    };
                    let after = sink.bytes().saturating_add(part.len() as u64);
                    if end.is_some_and(|end| after > end) {
                        return Step::Failed(GetError::Range);
                    }
                    let max = options.content_bytes_max;
                    if after > max {
                        return Step::Failed(GetError::TooLarge { max });
                    }
                    match sink.write(folder, part, audience) {
                        Ok(()) => Step::More,
                        Err(error) => Step::Failed(error),
                    }
                }
                Body::Skipped { bytes, .. } => {
                    *bytes += part.len() as u64;
                    match *bytes > SKIPPED_BYTES_MAX {
                        true => Step::Enough,
                        false => Step::More,
                    }
                }
                Body::Unknown => Step::More,
            },
            Ok(Some(HttpEvent::End { may_reuse })) => Step::Whole { may_reuse },
            Ok(None) => Step::Wait,
            Err(error) => Step::Failed(error.into()),
        }
    }

    /// Decides by the head what the body is for.
    fn begin(
        &mut self,
        head: &ResponseHead,
        options: &GetOptions,
        folder: Option<&Folder>,
    ) -> Step {
        let (Some(sink), Stage::Fetching(fetch)) = (&mut self.sink, &mut self.stage) else {
            return Step::Failed(GetError::Range);
        };
        let announced = fetch.decoder.announced();
        let (at, total, validator, end) = match plan(head, announced, fetch, sink, &self.place) {
            Ok(content) => content,
            Err(then) => {
                fetch.body = Body::Skipped { bytes: 0, then };
                let is_long = announced.is_none_or(|bytes| bytes > SKIPPED_BYTES_MAX);
                return if is_long { Step::Enough } else { Step::More };
            }
        };
        let max = options.content_bytes_max;
        if total.is_some_and(|total| total > max) {
            return Step::Failed(GetError::TooLarge { max });
        }
        if let Err(error) = sink.begin(folder, at, validator, total) {
            return Step::Failed(error);
        }
        // What this run has fetched itself was not there before.
        if self.resumed_bytes == 0 && self.tries == 1 && self.asked_bytes == 0 {
            self.resumed_bytes = at;
        }
        self.asked_bytes = at;
        self.name = download_name(&self.url, Some(head));
        fetch.body = Body::Content { end };
        Step::More
    }
}

/// Where the content goes on, how long the whole is, what proves it, and where the part ends.
type Content = (u64, Option<u64>, Option<Validator>, Option<u64>);

/// What a head means.
fn plan(
    head: &ResponseHead,
    announced: Option<u64>,
    fetch: &Fetch,
    sink: &Sink,
    place: &HttpUrl,
) -> Result<Content, Next> {
    match head.status() {
        200 | 203 => Ok((0, announced, Validator::of(head), None)),
        206 => {
            let Some((at, validator)) = &fetch.asked else {
                return Err(Next::Fail(GetError::Range, None));
            };
            let part = part(head, announced, *at, validator, sink.total());
            let (total, end) = part.ok_or(Next::StartOver)?;
            Ok((*at, Some(total), Some(validator.clone()), Some(end)))
        }
        416 if fetch.asked.is_some() => Err(Next::StartOver),
        301 | 302 | 303 | 307 | 308 => Err(redirection(head, place)),
        status => Err(Next::Fail(refusal(head, status), retry_after(head))),
    }
}

/// How long the whole is and where the part ends, if it is the part that was asked for, and of the
/// content that is here already: a server that does not look at `If-Range` gives itself away.
fn part(
    head: &ResponseHead,
    announced: Option<u64>,
    at: u64,
    validator: &Validator,
    known: Option<u64>,
) -> Option<(u64, u64)> {
    let range = ContentRange::of(head)?;
    let (total, end) = (range.complete?, range.last.checked_add(1)?);
    let fits = range.first == at
        && validator.matches(head)
        && announced.is_none_or(|announced| announced == end - at)
        && known.is_none_or(|known| known == total);
    fits.then_some((total, end))
}

fn redirection(head: &ResponseHead, place: &HttpUrl) -> Next {
    let Some(location) = head.field("location") else {
        return Next::Fail(refusal(head, head.status()), None);
    };
    match place.join(location) {
        Ok(place) => Next::Redirect(place),
        Err(why) => Next::Fail(bad_location(location, why), None),
    }
}

fn bad_location(location: &str, why: UrlError) -> GetError {
    /// Characters of it that are shown.
    const SHOWN_MAX: usize = 200;
    let location = clean(location).chars().take(SHOWN_MAX).collect();
    GetError::Location { location, why }
}

fn refusal(head: &ResponseHead, status: u16) -> GetError {
    /// Characters of the server's words that are shown.
    const SHOWN_MAX: usize = 100;
    let reason = clean(head.reason()).chars().take(SHOWN_MAX).collect();
    GetError::Status { status, reason }
}
