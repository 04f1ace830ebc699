//! The topology service of TIPC: its messages byte by byte (`linux/tipc.h`), and the connection.

use std::time::Duration;

use berkeley::tipc::{Event, EventKind, Filter, Subscription, Topology};
use berkeley::{Error, Family, Kind, Mode, MsgFlags, TipcAddr};
use proptest::prelude::*;

use crate::support::{PATIENCE, receive, unix_pair};

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn subscription() -> Subscription {
    Subscription {
        timeout: Some(Duration::from_micros(1500)),
        handle: *b"whatever",
        ..Subscription::ports(18888, 3, 5)
    }
}

fn event() -> Event {
    Event {
        kind: EventKind::WITHDRAWN,
        lower: 4,
        upper: 5,
        reference: 77,
        node: 0x0100_1001,
        subscription: subscription(),
    }
}

#[test]
fn messages_are_laid_out_as_in_the_header() {
    let asked = [words(&[18888, 3, 5, 2, 1]), b"whatever".to_vec()].concat();
    assert_eq!(subscription().encode()[..], asked);
    let told = [words(&[2, 4, 5, 77, 0x0100_1001]), asked].concat();
    assert_eq!(event().encode()[..], told);
    let forever = Subscription::service(1, 2, 3).encode();
    assert_eq!(forever[12..20], words(&[u32::MAX, 2]));
    // The longest limit is still one.
    let long = Subscription {
        timeout: Some(Duration::MAX),
        ..subscription()
    };
    assert_eq!(long.encode()[12..16], words(&[u32::MAX - 1]));
}

#[test]
fn a_connection_asks_hears_and_cancels() {
    // A pair of another family stands for the service: its messages are whole, too.
    let (here, service) = unix_pair(Kind::SEQPACKET);
    let topology = Topology::over(here);
    topology.socket().set_mode(Mode::Within(PATIENCE)).unwrap();
    topology.subscribe(&subscription()).unwrap();
    assert_eq!(receive(&service), subscription().encode());
    service.send(&event().encode(), MsgFlags::NONE).unwrap();
    let heard = topology.next_event().unwrap().unwrap();
    // Whole milliseconds travel: rounded up.
    let timeout = Some(Duration::from_millis(2));
    let subscription_heard = Subscription {
        timeout,
        ..subscription()
    };
    assert_eq!(
        heard,
        Event {
            subscription: subscription_heard,
            ..event()
        }
    );
    assert!(
        matches!(
            heard.addr(),
            TipcAddr::Id {
                node: 0x0100_1001,
                reference: 77,
                ..
            }
        ),
        "{:?}",
        heard.addr()
    );
    topology.cancel(&subscription()).unwrap();
    let cancelled = Subscription::decode(&receive(&service)).unwrap();
    assert_eq!(cancelled.filter, Filter::PORTS | Filter::CANCEL);
    service.send(b"too short", MsgFlags::NONE).unwrap();
    assert!(matches!(topology.next_event(), Err(Error::Invalid(_))));
    drop(service);
    assert_eq!(topology.next_event().unwrap(), None);
}

#[test]
fn this_nodes_service_tells_of_itself() {
    let topology = match Topology::connect() {
        Ok(topology) => topology,
        Err(Error::UnsupportedFamily(Family::TIPC)) => {
            return eprintln!("skipped: needs TIPC, which this kernel does not have");
        }
        Err(error) => panic!("{error}"),
    };
    topology.socket().set_mode(Mode::Within(PATIENCE)).unwrap();
    let itself = Subscription::ports(TipcAddr::TOPOLOGY_SERVICE, 1, 1);
    topology.subscribe(&itself).unwrap();
    let event = topology.next_event().unwrap().unwrap();
    assert_eq!(
        (event.kind, event.lower, event.upper),
        (EventKind::PUBLISHED, 1, 1)
    );
    assert_eq!(event.subscription, itself);
}

proptest! {
    #[test]
    fn each_message_is_read_back_as_itself(
        numbers: [u32; 5], asked: [u32; 3], millis: Option<u32>, filter: u32, handle: [u8; 8],
    ) {
        let [kind, lower, upper] = asked;
        let timeout = millis.map(|millis| Duration::from_millis(millis.min(u32::MAX - 1).into()));
        let filter = Filter::from_raw(filter);
        let subscription = Subscription { kind, lower, upper, timeout, filter, handle };
        prop_assert_eq!(Subscription::decode(&subscription.encode()), Some(subscription));
        let [kind, lower, upper, reference, node] = numbers;
        let kind = EventKind::from_raw(kind);
        let event = Event { kind, lower, upper, reference, node, subscription };
        prop_assert_eq!(Event::decode(&event.encode()), Some(event));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let subscription = Subscription::decode(&bytes);
        prop_assert_eq!(subscription.is_some(), bytes.len() >= Subscription::BYTES);
        prop_assert_eq!(Event::decode(&bytes).is_some(), bytes.len() >= Event::BYTES);
    }
}
