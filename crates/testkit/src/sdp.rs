//! The few lines of SDP a G.711 phone writes and reads (RFC 4566, RFC 3264).

use std::net::{IpAddr, SocketAddr};

/// Payload type of telephone-events in our offers.
const TELEPHONE_EVENT: u8 = 101;

/// What the other side said about its audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteAudio {
    pub(crate) rtp: SocketAddr,
    /// Static payload types both know, in the peer's order: 0 (PCMU) or 8 (PCMA).
    pub(crate) payload_type: u8,
    /// Payload type of telephone-events, if the peer takes them.
    pub(crate) telephone_event: Option<u8>,
    /// The peer's direction attribute.
    pub(crate) direction: &'static str,
}

/// An offer of PCMU, PCMA and telephone-events.
pub(crate) fn offer(rtp: SocketAddr, version: u32, direction: &str) -> String {
    describe(rtp, version, direction, &[0, 8], Some(TELEPHONE_EVENT))
}

/// The answer to an offer that was read as `remote`.
pub(crate) fn answer(rtp: SocketAddr, version: u32, remote: &RemoteAudio) -> String {
    let direction = match remote.direction {
        "sendonly" => "recvonly",
        "recvonly" => "sendonly",
        same => same,
    };
    describe(rtp, version, direction, &[remote.payload_type], remote.telephone_event)
}

/// Reads the first audio section; `None` when it has no G.711 or was refused.
pub(crate) fn read(text: &str) -> Option<RemoteAudio> {
    let mut address: Option<IpAddr> = None;
    let mut audio: Option<(u16, Vec<u8>)> = None;
    let mut telephone_event = None;
    let mut direction = "sendrecv";
    for line in text.lines().map(str::trim_end) {
        if let Some(media) = line.strip_prefix("m=") {
            if audio.is_some() {
                break;
            }
            let mut words = media.split(' ');
            if words.next() == Some("audio") {
                let port = words.next()?.parse().ok()?;
                audio = Some((port, words.skip(1).filter_map(|word| word.parse().ok()).collect()));
            }
        } else if let Some(connection) = line.strip_prefix("c=IN IP4 ") {
            address = connection.split('/').next()?.parse().ok();
        } else if let Some(map) = line.strip_prefix("a=rtpmap:") {
            let (number, name) = map.split_once(' ')?;
            if name.to_ascii_lowercase().starts_with("telephone-event/8000") {
                telephone_event = number.parse().ok();
            }
        } else if let Some(known) = ["sendrecv", "sendonly", "recvonly", "inactive"]
            .into_iter()
            .find(|word| line.strip_prefix("a=") == Some(word))
        {
            direction = known;
        }
    }
    let (port, formats) = audio.filter(|(port, _)| *port != 0)?;
    let payload_type = formats.into_iter().find(|format| matches!(format, 0 | 8))?;
    Some(RemoteAudio { rtp: SocketAddr::new(address?, port), payload_type, telephone_event, direction })
}

fn describe(rtp: SocketAddr, version: u32, direction: &str, formats: &[u8], event: Option<u8>) -> String {
    let (ip, port) = (rtp.ip(), rtp.port());
    let mut list: Vec<String> = formats.iter().map(u8::to_string).collect();
    let mut maps = String::new();
    for format in formats {
        let name = if *format == 0 { "PCMU" } else { "PCMA" };
        maps.push_str(&format!("a=rtpmap:{format} {name}/8000\r\n"));
    }
    if let Some(event) = event {
        list.push(event.to_string());
        maps.push_str(&format!("a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-15\r\n"));
    }
    format!(
        "v=0\r\no=- {port} {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP {}\r\n{maps}a=ptime:20\r\na={direction}\r\n",
        list.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_read_back() {
        let rtp = SocketAddr::from(([127, 0, 0, 1], 4000));
        let read_back = read(&offer(rtp, 1, "sendonly")).expect("valid");
        let expected = RemoteAudio { rtp, payload_type: 0, telephone_event: Some(101), direction: "sendonly" };
        assert_eq!(read_back, expected);
        let answered = read(&answer(rtp, 1, &read_back)).expect("valid");
        assert_eq!(answered.direction, "recvonly");
    }

    #[test]
    fn a_refused_stream_is_none() {
        assert_eq!(read("v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 0 RTP/AVP 0\r\n"), None);
        assert_eq!(read("c=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 96\r\n"), None);
    }
}
