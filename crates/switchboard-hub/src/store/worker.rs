//! One thread of the store: the uploads whose turn it is to be written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use switchboard_wire::Content;

use super::folder::Folder;
use super::kept::{self, Kept};
use super::partial::{Partial, Stored, Wanted};
use super::shared::Shared;
use super::{Reply, Request, StoreError, UploadId};

/// The state of one thread. `F` takes the replies.
#[derive(Debug)]
pub(super) struct Worker<F> {
    folder: Arc<Folder>,
    shared: Arc<Shared>,
    /// As many as the caller has begun and neither committed nor aborted.
    uploads: BTreeMap<UploadId, Upload>,
    replies: F,
}

#[derive(Debug)]
enum Upload {
    /// It was told so; what still comes of it is ignored.
    Failed,
    /// Its sender was told what there is; nothing, if somebody else is sending the same.
    Offered(Option<Kept>),
    Open(Box<Partial>),
}

impl<F: Fn(Reply)> Worker<F> {
    pub(super) fn new(folder: Folder, shared: Arc<Shared>, replies: F) -> Self {
        Self {
            folder: Arc::new(folder),
            shared,
            uploads: BTreeMap::new(),
            replies,
        }
    }

    /// Works until the queue is empty and has no sender left, then drops the unfinished uploads.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        for request in requests {
            self.handle(request);
        }
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::Abort { id } => self.abort(id),
            Request::Begin {
                id,
                name,
                bytes,
                content,
            } => self.begin(Wanted {
                id,
                name,
                bytes,
                content,
                kept: None,
            }),
            Request::Commit { id } => self.commit(id),
            Request::Data { id, bytes } => {
                let written = match self.uploads.get_mut(&id) {
                    Some(Upload::Open(partial)) => {
                        self.shared.check().and_then(|()| partial.write(&bytes))
                    }
                    _ => Ok(()),
                };
                let count = bytes.len();
                drop(bytes);
                (self.replies)(Reply::Written { id, bytes: count });
                if let Err(error) = written {
                    self.fail(id, error);
                }
            }
            Request::Offer { id, content } => self.offer(id, content),
        }
    }

    fn offer(&mut self, id: UploadId, content: Content) {
        if self.uploads.contains_key(&id) {
            return self.fail(id, StoreError::BegunTwice { id });
        }
        if let Err(error) = self.shared.check() {
            return self.fail(id, error);
        }
        let kept = Kept::find(&self.folder, &self.shared, content);
        let bytes = kept.as_ref().map_or(0, Kept::durable);
        self.uploads.insert(id, Upload::Offered(kept));
        (self.replies)(Reply::Have { id, bytes });
    }

    fn abort(&mut self, id: UploadId) {
        let upload = self.uploads.remove(&id);
        let may_stay = matches!(&upload, Some(Upload::Open(partial)) if partial.may_stay());
        // Only once it is put away it counts among those that nobody sends.
        drop(upload);
        if may_stay && let Err(error) = kept::sweep(&self.folder, &self.shared) {
            tracing::warn!(%error, "can't clear unfinished uploads");
        }
    }

    fn begin(&mut self, mut wanted: Wanted) {
        let id = wanted.id;
        match self.uploads.remove(&id) {
            None => {}
            Some(Upload::Offered(kept)) => wanted.kept = kept,
            Some(failed @ Upload::Failed) => {
                self.uploads.insert(id, failed);
                return;
            }
            Some(Upload::Open(partial)) => {
                partial.discard();
                return self.fail(id, StoreError::BegunTwice { id });
            }
        }
        let created = self.shared.check();
        match created.and_then(|()| Partial::create(&self.folder, &self.shared, wanted)) {
            Ok(partial) => {
                self.uploads.insert(id, Upload::Open(Box::new(partial)));
            }
            Err(error) => self.fail(id, error),
        }
    }

    fn commit(&mut self, id: UploadId) {
        let Some(Upload::Open(partial)) = self.uploads.remove(&id) else {
            return;
        };
        // Refused or not, the partial file is gone before that is told.
        let committed = match self.shared.check() {
            Ok(()) => partial.commit(),
            Err(error) => {
                drop(partial);
                Err(error)
            }
        };
        (self.replies)(match committed {
            Ok(Stored {
                name,
                bytes,
                duplicate,
            }) => Reply::Stored {
                id,
                name,
                bytes,
                duplicate,
            },
            Err(error) => Reply::Failed { id, error },
        });
    }

    /// Removes what was written before telling that nothing was.
    fn fail(&mut self, id: UploadId, error: StoreError) {
        if let Some(Upload::Open(partial)) = self.uploads.insert(id, Upload::Failed)
            && !matches!(error, StoreError::Closed)
        {
            partial.discard();
        }
        (self.replies)(Reply::Failed { id, error });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use switchboard_wire::FileName;

    use super::super::kept::Unfinished;
    use super::*;

    #[test]
    fn a_stopped_store_stores_nothing() {
        stores_nothing(Shared::stop, |error| matches!(error, StoreError::Stopped));
    }

    #[test]
    fn a_store_that_is_given_up_stores_nothing_more() {
        stores_nothing(Shared::give_up, |error| matches!(error, StoreError::Closed));
    }

    /// That neither an upload under way nor a late one becomes a file after `end`.
    #[track_caller]
    fn stores_nothing(end: impl Fn(&Shared), is_expected: impl Fn(&StoreError) -> bool) {
        let data = tempfile::tempdir().unwrap();
        let (folder, _lock, _made) = Folder::open(data.path()).unwrap();
        let shared = Arc::new(Shared::new(Unfinished::default()));
        let replies = RefCell::new(Vec::new());
        let tell = |reply| replies.borrow_mut().push(reply);
        let mut worker = Worker::new(folder, Arc::clone(&shared), tell);
        let (open, cut, late) = (UploadId(1), UploadId(2), UploadId(3));
        let begin = |id, bytes| Request::Begin {
            id,
            name: FileName::reduce("a").unwrap(),
            bytes,
            content: None,
        };

        worker.handle(begin(open, 0));
        worker.handle(begin(cut, 1));
        end(&shared);
        worker.handle(Request::Commit { id: open });
        worker.handle(Request::Data {
            id: cut,
            bytes: "x".into(),
        });
        worker.handle(Request::Commit { id: cut });
        worker.handle(begin(late, 0));
        worker.handle(Request::Commit { id: late });

        let replies = replies.borrow();
        let failed = |reply: &Reply| match reply {
            Reply::Failed { id, error } if is_expected(error) => Some(*id),
            _ => None,
        };
        let failed: Vec<_> = replies.iter().filter_map(failed).collect();
        assert_eq!(failed, [open, cut, late], "{replies:?}");
        assert_eq!(replies.len(), 4, "and one Written: {replies:?}");
        for folder in ["files", "partial"] {
            let left = std::fs::read_dir(data.path().join(folder)).unwrap();
            assert_eq!(left.count(), 0, "{folder}");
        }
    }
}
