//! The shard's part in the parcel door, and its dealings with the store.

use bytes::Bytes;
use switchboard_wire::{Answer, Content, ContentHash, Fields, MessageId, ParcelEvent};
use tracing::{error, info, warn};

use super::waits::Stop;
use super::{ConnectionId, Net, ParcelConnection, Session, Shard, Transfer};
use crate::door::parcel::{Upload, encode_answer};
use crate::limits::{
    FINISH_TIME, PIECE_BYTES, STORE_IN_FLIGHT_BYTES_MAX, UPLOAD_IN_FLIGHT_BYTES_MAX,
};
use crate::store::{Reply, Request, UploadId};

impl Transfer {
    const fn new(
        connection: ConnectionId,
        asked: Option<(ContentHash, Option<MessageId>)>,
    ) -> Self {
        Self {
            connection,
            in_flight: 0,
            over: false,
            asked,
        }
    }
}

/// Whether this is what a sender of many messages is slowed by.
const fn is_message(event: &ParcelEvent<'_>) -> bool {
    !matches!(
        event,
        ParcelEvent::FileData(_) | ParcelEvent::FileEnd | ParcelEvent::FileOffered { .. }
    )
}

impl<N: Net> Shard<N> {
    pub(super) fn parcel(&mut self, id: ConnectionId) -> Option<&mut ParcelConnection> {
        match &mut self.connections.get_mut(&id)?.session {
            Session::Parcel(parcel) => Some(parcel),
            Session::Line(_) => None,
        }
    }

    fn request(&self, request: Request) {
        match &self.store {
            Some(store) => store.request(request),
            None => error!("the store is closed"),
        }
    }

    /// Bytes of a parcel client.
    pub(super) fn parcels(&mut self, net: &mut N, id: ConnectionId, mut bytes: &[u8]) {
        let now = net.now();
        loop {
            let Some(parcel) = self.parcel(id) else {
                return;
            };
            if parcel.over {
                break;
            }
            if self.is_parcel_too_fast(net, id, &mut bytes) {
                break;
            }
            let Some(parcel) = self.parcel(id) else {
                return;
            };
            match parcel.session.push(now, &mut bytes) {
                Ok(Some(event)) => {
                    if is_message(&event) {
                        self.count_message(net, id);
                    }
                    self.parcel_event(net, id, event);
                    self.work(net);
                    if self.is_waiting(id) {
                        self.hold(net, id, bytes, false);
                        break;
                    }
                }
                Ok(None) => break,
                Err(reason) => {
                    self.break_off(net, id, &reason.to_string());
                    return;
                }
            }
        }
        self.settle(net, id);
        self.hold_back(net, id);
    }

    fn parcel_event(&mut self, net: &mut N, id: ConnectionId, event: ParcelEvent<'_>) {
        let serial = self.last_upload + 1;
        let upload = UploadId::of_shard(self.post.place.here.0, id, serial);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Session::Parcel(parcel) = &mut connection.session else {
            return;
        };
        match event {
            ParcelEvent::Message { text, fields } => {
                parcel.session.message(text, fields);
                self.settle(net, id);
            }
            ParcelEvent::Follow(follow) => self.follow(net, id, follow),
            ParcelEvent::FileBegin {
                name,
                bytes,
                fields,
            } => {
                let bytes = u64::from(bytes);
                let offered = parcel.session.take_offer();
                let upload = offered.unwrap_or(upload);
                let content = fields.content;
                parcel.session.begin(upload, name.clone(), bytes, fields);
                if offered.is_none() {
                    self.last_upload = serial;
                    self.transfers.insert(upload, Transfer::new(id, None));
                }
                self.request(Request::Begin {
                    id: upload,
                    name,
                    bytes,
                    content,
                });
            }
            ParcelEvent::FileOffered { content, id: asked } => self.offered(id, content, asked),
            ParcelEvent::FileData(data) => {
                // No upload: the store has refused it, and the rest is thrown away.
                if let Some(upload) = parcel.session.data(data.len()) {
                    let cost = data.len() + PIECE_BYTES;
                    parcel.in_flight += cost;
                    self.in_flight += cost;
                    if let Some(transfer) = self.transfers.get_mut(&upload) {
                        transfer.in_flight += cost;
                    }
                    self.request(Request::Data {
                        id: upload,
                        bytes: Bytes::copy_from_slice(data),
                    });
                }
            }
            ParcelEvent::FileEnd => {
                if let Some(upload) = parcel.session.commit() {
                    self.request(Request::Commit { id: upload });
                }
            }
            ParcelEvent::Refused { what, fields } => {
                self.refuse(net, id, &fields, &what.to_string());
            }
            ParcelEvent::Close => parcel.over = true,
        }
    }

    /// Somebody asks how much of a file there is.
    fn offered(&mut self, id: ConnectionId, content: Content, asked: Option<MessageId>) {
        let serial = self.last_upload + 1;
        // All who send this file go one way, so that what broke off is put away before somebody
        // asks for it.
        let lane = content.hash.0.first().copied().unwrap_or(0);
        let upload = UploadId::of_shard(self.post.place.here.0, lane.into(), serial);
        let Some(parcel) = self.parcel(id) else {
            return;
        };
        parcel.session.offer(upload);
        self.last_upload = serial;
        let asked = Some((content.hash, asked));
        self.transfers.insert(upload, Transfer::new(id, asked));
        self.request(Request::Offer {
            id: upload,
            content,
        });
    }

    /// Brings what is ready into the room, and ends the conversation when it is over.
    fn settle(&mut self, net: &mut N, id: ConnectionId) {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return;
            };
            let Session::Parcel(parcel) = &mut connection.session else {
                return;
            };
            let Some(ready) = parcel.session.ready() else {
                break;
            };
            self.bring(net, id, ready);
        }
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let Session::Parcel(parcel) = &connection.session else {
            return;
        };
        if !parcel.session.is_settled() {
            return;
        }
        let (token, over) = (connection.token, parcel.over);
        if token.is_some() && over && !self.has_heard_all(id) {
            return;
        }
        let was_refused = self
            .parcel(id)
            .is_some_and(|parcel| parcel.session.was_refused());
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        match token {
            // Whoever waits for the end learns from it whether all was taken.
            Some(token) if over && was_refused => {
                info!("{} is done; not all of it was taken", connection.label);
                self.leave_room(net, id, None);
                net.reset(token);
                self.forget(net, id);
            }
            Some(token) if over => {
                self.leave_room(net, id, None);
                net.end_gently(token);
                net.finish(token, FINISH_TIME);
            }
            Some(_) => {}
            None => self.forget(net, id),
        }
    }

    /// True when no room has anything more to say about what a client brought. It is asked for that
    /// if need be.
    fn has_heard_all(&mut self, id: ConnectionId) -> bool {
        let room = self.parcel(id).and_then(|parcel| parcel.speaks_in.take());
        self.let_go_of_room(id, room);
        self.parcel(id).is_none_or(|parcel| parcel.owed == 0)
    }

    /// A room has no more to say about what a client brought.
    pub(super) fn let_go_of(&mut self, net: &mut N, id: ConnectionId) {
        if let Some(parcel) = self.parcel(id) {
            parcel.owed = parcel.owed.saturating_sub(1);
            if parcel.over && parcel.owed == 0 {
                self.settle(net, id);
            }
        }
    }

    /// Stops reading from a client whose data the disk has not caught up with.
    fn hold_back(&mut self, net: &mut N, id: ConnectionId) {
        let crowded = self.in_flight > STORE_IN_FLIGHT_BYTES_MAX;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Session::Parcel(parcel) = &mut connection.session else {
            return;
        };
        let behind = crowded && parcel.in_flight > 0
            || parcel.in_flight > UPLOAD_IN_FLIGHT_BYTES_MAX
            || parcel.session.is_full();
        if connection.token.is_some() && behind && parcel.paused.is_none() {
            parcel.paused = Some(net.now());
            self.waiting.push_back(id);
            self.stop_reading(net, id, Stop::Store);
        }
    }

    /// Reads again from a client that was held back.
    fn let_go(&mut self, net: &mut N, id: ConnectionId) {
        let crowded = self.in_flight > STORE_IN_FLIGHT_BYTES_MAX;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Session::Parcel(parcel) = &mut connection.session else {
            return;
        };
        let ready = parcel.in_flight <= UPLOAD_IN_FLIGHT_BYTES_MAX / 2
            && !parcel.session.is_full()
            && (!crowded || parcel.in_flight == 0);
        if let Some(since) = parcel.paused
            && ready
        {
            parcel.paused = None;
            parcel.session.excuse(since, net.now());
            self.waiting.retain(|waiting| *waiting != id);
            self.read_again(net, id, Stop::Store);
        }
    }

    /// The store has done something.
    pub(super) fn stored(&mut self, net: &mut N, reply: Reply) {
        match reply {
            Reply::Written { id: upload, bytes } => {
                self.written(net, upload, bytes + PIECE_BYTES);
            }
            Reply::Stored {
                id: upload,
                name,
                bytes,
                duplicate,
            } => {
                let Some(id) = self.transfer_over(upload) else {
                    return;
                };
                if duplicate {
                    info!("the file \"{name}\" was there already, byte for byte");
                }
                if let Some(parcel) = self.parcel(id) {
                    parcel.session.stored(upload, name, bytes);
                }
                self.settle(net, id);
                self.let_go(net, id);
            }
            Reply::Have { id: upload, bytes } => self.have(net, upload, bytes),
            Reply::Failed { id: upload, error } => self.upload_failed(net, upload, &error),
        }
    }

    /// Tells a sender how much of its file there is.
    fn have(&mut self, net: &mut N, upload: UploadId, bytes: u64) {
        let Some(transfer) = self.transfers.get_mut(&upload) else {
            return;
        };
        let connection = transfer.connection;
        if let Some((hash, id)) = transfer.asked.take() {
            let have = Answer::Have { hash, bytes, id };
            self.send_to(net, connection, encode_answer(&have));
        }
    }

    /// A piece has left the queue of the store, and what it cost there is free.
    fn written(&mut self, net: &mut N, upload: UploadId, cost: usize) {
        let was_crowded = self.in_flight > STORE_IN_FLIGHT_BYTES_MAX;
        self.in_flight = self.in_flight.saturating_sub(cost);
        let Some(transfer) = self.transfers.get_mut(&upload) else {
            return;
        };
        transfer.in_flight = transfer.in_flight.saturating_sub(cost);
        let id = transfer.connection;
        if transfer.over && transfer.in_flight == 0 {
            self.transfers.remove(&upload);
        }
        if let Some(parcel) = self.parcel(id) {
            parcel.in_flight = parcel.in_flight.saturating_sub(cost);
        }
        self.let_go(net, id);
        if was_crowded && self.in_flight <= STORE_IN_FLIGHT_BYTES_MAX {
            // Everybody who waited for the others has waited long enough.
            for id in self.waiting.clone() {
                self.let_go(net, id);
            }
        }
    }

    /// Nothing more will come of a file; answers whose it is.
    fn transfer_over(&mut self, upload: UploadId) -> Option<ConnectionId> {
        let transfer = self.transfers.get_mut(&upload)?;
        transfer.over = true;
        let (id, settled) = (transfer.connection, transfer.in_flight == 0);
        if settled {
            self.transfers.remove(&upload);
        }
        Some(id)
    }

    fn upload_failed(&mut self, net: &mut N, upload: UploadId, reason: &dyn std::error::Error) {
        let asked = self
            .transfers
            .get_mut(&upload)
            .and_then(|transfer| transfer.asked.take());
        let Some(id) = self.transfer_over(upload) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Session::Parcel(parcel) = &mut connection.session else {
            return;
        };
        error!(
            "a file of {} could not be stored: {reason}",
            connection.label
        );
        let of_offer = asked.map(|(_, id)| Fields {
            id,
            wants_resume: true,
            ..Fields::default()
        });
        let fields = parcel.session.fields_of(upload).cloned().or(of_offer);
        let unfinished = parcel.session.failed(upload);
        if let Some(fields) = fields.filter(Fields::is_answered) {
            self.refuse(
                net,
                id,
                &fields,
                &format!("it could not be stored: {reason}"),
            );
        }
        if unfinished {
            // The rest would be thrown away: the sender had better know at once.
            self.request(Request::Abort { id: upload });
            self.break_off(net, id, "its file could not be stored");
        }
        self.settle(net, id);
        self.let_go(net, id);
    }

    /// Ends a conversation that cannot go on, with a reset.
    pub(super) fn break_off(&mut self, net: &mut N, id: ConnectionId, reason: &str) {
        self.abort_upload(id, reason);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        warn!("{} is cut off: {reason}", connection.label);
        if let Session::Parcel(parcel) = &mut connection.session {
            parcel.over = true;
        }
        let token = connection.token;
        self.leave_room(net, id, Some(reason.to_owned()));
        if let Some(token) = token {
            net.reset(token);
        }
        self.forget(net, id);
    }

    /// Gives up the file that is being received.
    pub(super) fn abort_upload(&mut self, id: ConnectionId, reason: &str) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Session::Parcel(parcel) = &mut connection.session else {
            return;
        };
        let label = &connection.label;
        let upload = match (parcel.session.take_offer(), parcel.session.abort()) {
            (Some(offered), _) => offered,
            (None, Some(upload)) => {
                let Upload { name, .. } = &upload;
                let kept = if upload.fields.wants_resume {
                    ", and can be resumed"
                } else {
                    ""
                };
                let (received, bytes) = (upload.received, upload.bytes);
                warn!(
                    "the file \"{name}\" of {label} is given up after {received} of {bytes} \
                     bytes{kept}: {reason}"
                );
                upload.id
            }
            (None, None) => return,
        };
        self.transfer_over(upload);
        self.request(Request::Abort { id: upload });
    }

    /// The peer has ended its side.
    pub(super) fn parcels_ended(&mut self, net: &mut N, id: ConnectionId) {
        let Some(parcel) = self.parcel(id) else {
            return;
        };
        match parcel.session.end() {
            Ok(()) => {
                parcel.over = true;
                self.settle(net, id);
            }
            Err(reason) => self.break_off(net, id, &reason.to_string()),
        }
    }

    /// The connection is gone: finished, or broken.
    pub(super) fn parcels_closed(&mut self, net: &mut N, id: ConnectionId, reason: Option<String>) {
        if let Some(reason) = &reason {
            self.abort_upload(id, reason);
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            match &reason {
                Some(reason) => warn!("{} is gone: {reason}", connection.label),
                None => info!("{} is done", connection.label),
            }
            if let Session::Parcel(parcel) = &mut connection.session {
                parcel.over = true;
            }
        }
        self.leave_room(net, id, reason);
        self.forget(net, id);
    }

    /// The hub ends: what was received whole is stored, the rest is given up.
    pub(super) fn stop_parcels(&mut self, net: &mut N, id: ConnectionId) {
        let Some(parcel) = self.parcel(id) else {
            return;
        };
        if !parcel.over {
            // What it would still have sent is not taken, and it learns that from the reset.
            parcel.session.refuse();
            parcel.over = true;
            self.abort_upload(id, "the hub is closing");
        }
        self.settle(net, id);
    }
}
