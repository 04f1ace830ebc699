//! One thread of the store: the uploads whose turn it is to be written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use switchboard_wire::FileName;

use super::folder::Folder;
use super::partial::{Partial, Stored};
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
    Open(Partial),
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
            Request::Abort { id } => {
                self.uploads.remove(&id);
            }
            Request::Begin { id, name, bytes } => self.begin(id, name, bytes),
            Request::Commit { id } => self.commit(id),
            Request::Data { id, bytes } => {
                let written = match self.uploads.get_mut(&id) {
                    Some(Upload::Open(partial)) => {
                        self.shared.check().and_then(|()| partial.write(&bytes))
                    }
                    Some(Upload::Failed) | None => Ok(()),
                };
                let count = bytes.len();
                drop(bytes);
                (self.replies)(Reply::Written { id, bytes: count });
                if let Err(error) = written {
                    self.fail(id, error);
                }
            }
        }
    }

    fn begin(&mut self, id: UploadId, name: FileName, bytes: u64) {
        let vacant = match self.uploads.entry(id) {
            Entry::Vacant(vacant) => vacant,
            Entry::Occupied(upload) => {
                if matches!(upload.get(), Upload::Open(_)) {
                    self.fail(id, StoreError::BegunTwice { id });
                }
                return;
            }
        };
        let created = self.shared.check();
        match created.and_then(|()| Partial::create(&self.folder, id, name, bytes)) {
            Ok(partial) => {
                vacant.insert(Upload::Open(partial));
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
            Ok(()) => partial.commit(&self.shared),
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
        self.uploads.insert(id, Upload::Failed);
        (self.replies)(Reply::Failed { id, error });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

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
        let shared = Arc::new(Shared::default());
        let replies = RefCell::new(Vec::new());
        let tell = |reply| replies.borrow_mut().push(reply);
        let mut worker = Worker::new(folder, Arc::clone(&shared), tell);
        let (open, cut, late) = (UploadId(1), UploadId(2), UploadId(3));
        let begin = |id, bytes| Request::Begin {
            id,
            name: FileName::reduce("a").unwrap(),
            bytes,
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
