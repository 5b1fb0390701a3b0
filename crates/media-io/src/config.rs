//! What a media server is told at its start.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use base::Limits;

use crate::languages::FoundLanguage;

/// Configuration of the media side.
#[derive(Clone, Debug)]
pub struct MediaConfig {
    /// The address to bind to. `::` takes IPv4 too.
    pub address: IpAddr,
    /// The address that goes into SDP; differs from `address` behind a NAT or when that is unspecified.
    pub advertised: IpAddr,
    /// Ports for media. RTP takes the even ones, RTCP the odd one above (RFC 3550 11). Two ports serve one leg.
    pub ports: RangeInclusive<u16>,
    /// Worker threads, at least 1; more than there are cores makes no sense.
    pub workers: usize,
    /// Pin each worker to a core of its own.
    pub pin_workers: bool,
    /// DSCP of media packets (requirement C37), 0 to 63; `None` leaves the system's. 46 is Expedited Forwarding.
    pub dscp: Option<u8>,
    /// Language of the prompts, a BCP 47 tag; without one, or where it is not known, prompts are tones.
    pub language: Option<String>,
    /// Further languages ([`read_languages`](crate::read_languages)).
    pub languages: Arc<[FoundLanguage]>,
    /// The operator's sound files; without it, none is played.
    pub prompts_dir: Option<PathBuf>,
    /// Where recordings are written; made if need be. Without it, none is.
    pub recordings_dir: Option<PathBuf>,
    /// Level the voices by themselves.
    pub automatic_level: bool,
    /// Whether the background of a voice is taken away while nothing is said.
    pub noise_gate: bool,
    /// The instant that all time stamps count from; the same for the whole process.
    pub epoch: Instant,
    /// Bounds; of these, `worker_queue`, `worker_events` and `port_drain` are used here.
    pub limits: Limits,
}

impl Default for MediaConfig {
    /// Loopback, ports 20000 to 21999, one worker per core.
    fn default() -> Self {
        Self {
            address: Ipv4Addr::LOCALHOST.into(),
            advertised: Ipv4Addr::LOCALHOST.into(),
            ports: 20_000..=21_999,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            pin_workers: true,
            dscp: Some(46),
            language: None,
            languages: Arc::default(),
            prompts_dir: None,
            recordings_dir: None,
            automatic_level: true,
            noise_gate: false,
            epoch: Instant::now(),
            limits: Limits::default(),
        }
    }
}
