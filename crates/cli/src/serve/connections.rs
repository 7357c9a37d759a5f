//! The connections of all clients, and which of them make room for others.
//!
//! The number of connections is limited. A client that keeps the server waiting may hold one for long, so a limit alone would let
//! a few hundred such clients keep all others out. So where there is no room, the connection that moves the fewest bytes is
//! closed for the new one. A connection whose request is being worked on is never closed, nor one that keeps moving.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The credit of a new connection, in bytes.
const FRESH: f64 = 65_536.0;
/// The most credit that a connection can have.
const MOST: f64 = 2.0 * FRESH;
/// With less credit than this, a connection may be closed for another. A new one that moves nothing has it after a second.
const WEAK: f64 = FRESH / 2.0;
/// Half of the credit is gone after this many seconds.
const HALF_LIFE: f64 = 1.0;
/// Time between two looks for room.
const RETRY: Duration = Duration::from_millis(100);

/// The open connections.
pub struct Connections {
    /// Maximum number of connections.
    most: usize,
    /// Maximum number of connections of one address. This computer's own have no limit: a reverse proxy has them all.
    most_of_address: usize,
    open: Mutex<Vec<Arc<Pulse>>>,
    ended: Notify,
}

/// One connection's activity.
pub struct Pulse {
    /// The network of the client; `None` for this computer.
    network: Option<u64>,
    activity: Mutex<Activity>,
    closing: Notify,
}

#[derive(Debug)]
struct Activity {
    /// The bytes that were moved lately: they count less with time.
    credit: f64,
    at: Instant,
    /// Whether a request is being worked on.
    working: bool,
    /// Whether that work waits for the client to send more.
    awaiting: bool,
}

impl Activity {
    fn credit(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        self.credit * (-age / HALF_LIFE).exp2()
    }

    fn set(&mut self, credit: f64, now: Instant) {
        self.credit = credit.min(MOST);
        self.at = now;
    }

    /// The credit if the connection may be closed.
    fn weakness(&self, now: Instant) -> Option<f64> {
        let credit = self.credit(now);
        (credit < WEAK && (!self.working || self.awaiting)).then_some(credit)
    }
}

impl Pulse {
    fn new(address: IpAddr) -> Self {
        let activity = Activity { credit: FRESH, at: Instant::now(), working: false, awaiting: false };
        Pulse { network: network(address), activity: Mutex::new(activity), closing: Notify::new() }
    }

    fn activity(&self) -> MutexGuard<'_, Activity> {
        self.activity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that came or went.
    pub fn moved(&self, bytes: usize) {
        let (mut activity, now) = (self.activity(), Instant::now());
        let credit = activity.credit(now) + bytes as f64;
        activity.set(credit, now);
    }

    /// Notes whether the work on a request waits for the client.
    pub fn set_awaiting(&self, awaiting: bool) {
        self.activity().awaiting = awaiting;
    }

    /// Notes that a request is being worked on, until the result is dropped.
    pub fn work(self: &Arc<Self>) -> Work {
        self.activity().working = true;
        Work(Arc::clone(self))
    }

    /// Waits until the connection is to be closed for another.
    pub async fn closed(&self) {
        self.closing.notified().await;
    }
}

/// Work on a request.
pub struct Work(Arc<Pulse>);

impl Drop for Work {
    fn drop(&mut self) {
        let mut activity = self.0.activity();
        (activity.working, activity.awaiting) = (false, false);
        activity.set(FRESH, Instant::now()); // the answer is about to be written
    }
}

/// The room of one connection, until it is dropped.
pub struct Room {
    connections: Arc<Connections>,
    pub pulse: Arc<Pulse>,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.connections.open().retain(|pulse| !Arc::ptr_eq(pulse, &self.pulse));
        self.connections.ended.notify_one();
    }
}

/// The answer to a wish for room.
enum Admission {
    Room(Room),
    /// The client's address has all its connections, and needs them.
    TooMany,
    /// All connections are needed.
    Full,
}

impl Connections {
    pub fn new(most: usize, most_of_address: usize) -> Arc<Self> {
        Arc::new(Connections { most, most_of_address, open: Mutex::default(), ended: Notify::new() })
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room. `None` where the address of the client has too many connections.
    pub async fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Room> {
        loop {
            match self.try_admit(address) {
                Admission::Room(room) => return Some(room),
                Admission::TooMany => return None,
                Admission::Full => {
                    let _ = tokio::time::timeout(RETRY, self.ended.notified()).await;
                }
            }
        }
    }

    fn try_admit(self: &Arc<Self>, address: IpAddr) -> Admission {
        let pulse = Arc::new(Pulse::new(address));
        let mut open = self.open();
        let of_network = |other: &Pulse| other.network == pulse.network;
        if pulse.network.is_some()
            && open.iter().filter(|other| of_network(other)).count() >= self.most_of_address
            && !close_weakest(&mut open, of_network)
        {
            return Admission::TooMany;
        }
        if open.len() >= self.most && !close_weakest(&mut open, |_| true) {
            return Admission::Full;
        }
        open.push(Arc::clone(&pulse));
        Admission::Room(Room { connections: Arc::clone(self), pulse })
    }

    /// Closes a connection that can be done without, where the system has no room for more.
    pub fn make_room(&self) {
        close_weakest(&mut self.open(), |_| true);
    }
}

/// Closes the weakest of these connections; gives whether there is one.
fn close_weakest(open: &mut Vec<Arc<Pulse>>, of: impl Fn(&Pulse) -> bool) -> bool {
    let now = Instant::now();
    let weak = open.iter().enumerate().filter(|(_, pulse)| of(pulse));
    let weak = weak.filter_map(|(at, pulse)| Some((at, pulse.activity().weakness(now)?)));
    let Some((at, _)) = weak.min_by(|(_, a), (_, b)| a.total_cmp(b)) else { return false };
    open.swap_remove(at).closing.notify_one();
    true
}

/// The part of an address that one client has for itself: all of IPv4's, half of IPv6's.
fn network(address: IpAddr) -> Option<u64> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(u64::from(address.to_bits()) | 1 << 63),
        IpAddr::V6(address) => Some((address.to_bits() >> 64) as u64 & !(1 << 63)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admitted(connections: &Arc<Connections>, address: &str) -> Room {
        match connections.try_admit(address.parse().unwrap()) {
            Admission::Room(room) => room,
            Admission::TooMany => panic!("{address} has too many"),
            Admission::Full => panic!("no room for {address}"),
        }
    }

    fn set(room: &Room, credit: f64) {
        room.pulse.activity().set(credit, Instant::now());
    }

    /// Whether the connection was told to close.
    fn is_closed(room: &Room) -> bool {
        !room.connections.open().iter().any(|pulse| Arc::ptr_eq(pulse, &room.pulse))
    }

    #[test]
    fn the_weakest_makes_room() {
        let connections = Connections::new(3, 9);
        let rooms = ["10.0.0.1", "10.0.0.2", "127.0.0.1"].map(|address| admitted(&connections, address));
        let full = || matches!(connections.try_admit("10.0.0.4".parse().unwrap()), Admission::Full);
        assert!(full(), "all are new");
        set(&rooms[0], 900.0);
        set(&rooms[1], 30.0);
        set(&rooms[2], MOST);
        let fourth = admitted(&connections, "10.0.0.4");
        assert_eq!([0, 1, 2].map(|at| is_closed(&rooms[at])), [false, true, false]);
        // a request that is worked on is kept, one that waits for its body is not
        let work = rooms[0].pulse.work();
        assert!(full());
        rooms[0].pulse.set_awaiting(true);
        let fifth = admitted(&connections, "10.0.0.5");
        assert!(is_closed(&rooms[0]));
        drop((work, fourth, fifth, rooms));
        assert!(connections.open().is_empty());
    }

    #[test]
    fn an_address_has_a_limit_of_its_own() {
        let connections = Connections::new(100, 2);
        let first = admitted(&connections, "10.0.0.1");
        let _second = admitted(&connections, "10.0.0.1");
        assert!(matches!(connections.try_admit("::ffff:10.0.0.1".parse().unwrap()), Admission::TooMany));
        let _other = admitted(&connections, "10.0.0.2");
        let _six = ["2001:db8::1", "2001:db8::2"].map(|address| admitted(&connections, address));
        assert!(matches!(connections.try_admit("2001:db8::3".parse().unwrap()), Admission::TooMany));
        let _another = admitted(&connections, "2001:db8:0:1::3");
        let _own: Vec<Room> = (0..9).map(|_| admitted(&connections, "::1")).collect();
        set(&first, 1.0);
        let _third = admitted(&connections, "10.0.0.1");
        assert!(is_closed(&first), "an address makes room for itself");
    }

    #[test]
    fn credit_fades() {
        let now = Instant::now();
        let activity = Activity { credit: 64.0, at: now, working: false, awaiting: false };
        assert_eq!(activity.credit(now), 64.0);
        assert!((activity.credit(now + Duration::from_secs(3)) - 8.0).abs() < 1e-9);
        let pulse = Pulse::new("127.0.0.1".parse().unwrap());
        pulse.moved(1 << 30);
        assert!(pulse.activity().credit(Instant::now()) <= MOST);
    }
}
