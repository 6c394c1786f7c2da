//! The TCP payload in a packet capture (pcap, pcapng), put back into streams.
//!
//! Reassembly is by sequence number: repeats are dropped, what came out of order is put in order, and what the
//! capture missed ends a stream's reading, because a message can not be read across a hole.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::{IpAddr, SocketAddr};

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};

/// The largest packet that is read, in bytes.
const PACKET_LIMIT: usize = 1 << 20;

/// One direction of one TCP conversation.
pub(super) struct Stream {
    from: SocketAddr,
    to: SocketAddr,
    /// What was sent, as far as the capture has it without a hole.
    pub(super) payload: Vec<u8>,
    next: Option<u32>,
    /// Segments that came too early, by their distance from the first byte.
    early: BTreeMap<u32, Vec<u8>>,
}

/// Whether `bytes` begin like a capture.
pub(super) fn is_capture(bytes: &[u8]) -> bool {
    const MAGICS: [[u8; 4]; 5] = [
        [0x0a, 0x0d, 0x0d, 0x0a],
        [0xa1, 0xb2, 0xc3, 0xd4],
        [0xd4, 0xc3, 0xb2, 0xa1],
        [0xa1, 0xb2, 0x3c, 0x4d],
        [0x4d, 0x3c, 0xb2, 0xa1],
    ];
    MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

/// The streams in a capture, in the order in which they began. Streams without payload are left out.
///
/// # Errors
/// Why the capture can not be read.
pub(super) fn streams(bytes: &[u8]) -> Result<Vec<Stream>, String> {
    let mut reader = create_reader(PACKET_LIMIT, Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut streams = Vec::new();
    let mut link = Linktype::ETHERNET;
    loop {
        match reader.next() {
            Ok((consumed, block)) => {
                match block {
                    PcapBlockOwned::LegacyHeader(header) => link = header.network,
                    PcapBlockOwned::Legacy(packet) => take(link, packet.data, &mut streams)?,
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => link = interface.linktype,
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        let data = packet.data.get(..packet.caplen as usize).unwrap_or(packet.data);
                        take(link, data, &mut streams)?;
                    }
                    PcapBlockOwned::NG(Block::SimplePacket(packet)) => take(link, packet.data, &mut streams)?,
                    PcapBlockOwned::NG(_) => {}
                }
                reader.consume(consumed);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().map_err(|error| error.to_string())?,
            Err(error) => return Err(error.to_string()),
        }
    }
    streams.retain(|stream| !stream.payload.is_empty());
    Ok(streams)
}

impl Stream {
    /// Who speaks to whom.
    pub(super) fn title(&self) -> String {
        format!("{} -> {}", self.from, self.to)
    }

    /// Whether one end has that port.
    pub(super) fn has_port(&self, port: u16) -> bool {
        self.from.port() == port || self.to.port() == port
    }

    fn segment(&mut self, sequence: u32, opens: bool, payload: &[u8]) {
        if opens || self.next.is_none() {
            // The opening itself takes one number.
            self.next = Some(sequence.wrapping_add(u32::from(opens)));
            if opens {
                return;
            }
        }
        self.early.insert(sequence, payload.to_vec());
        while let Some(next) = self.next {
            // Numbers wrap around: a segment less than half the range behind is a repeat, or overlaps.
            let fits = self.early.iter().find(|(start, bytes)| {
                let behind = next.wrapping_sub(**start);
                behind < 1 << 31 && (behind as usize) < bytes.len()
            });
            let Some((&start, _)) = fits else { break };
            let bytes = self.early.remove(&start).unwrap_or_default();
            let fresh = bytes.get(next.wrapping_sub(start) as usize..).unwrap_or_default();
            self.payload.extend_from_slice(fresh);
            self.next = Some(next.wrapping_add(u32::try_from(fresh.len()).unwrap_or_default()));
        }
        if let Some(next) = self.next {
            self.early.retain(|start, _| next.wrapping_sub(*start) >= 1 << 31);
        }
    }
}

fn take(link: Linktype, data: &[u8], streams: &mut Vec<Stream>) -> Result<(), String> {
    let packet = match link {
        Linktype::ETHERNET => SlicedPacket::from_ethernet(data),
        Linktype::LINUX_SLL => SlicedPacket::from_linux_sll(data),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => SlicedPacket::from_ip(data),
        // Loopback of the BSDs: the address family before the packet.
        Linktype::NULL | Linktype::LOOP => SlicedPacket::from_ip(data.get(4..).unwrap_or_default()),
        other => return Err(format!("packets of link type {} are not understood", other.0)),
    };
    // Whatever else is on the wire, or cut short by the capture, is none of ours.
    let Ok(packet) = packet else { return Ok(()) };
    let (Some(net), Some(TransportSlice::Tcp(tcp))) = (&packet.net, &packet.transport) else { return Ok(()) };
    let (source, destination): (IpAddr, IpAddr) = match net {
        NetSlice::Ipv4(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Ipv6(ip) => (ip.header().source_addr().into(), ip.header().destination_addr().into()),
        NetSlice::Arp(_) => return Ok(()),
    };
    let from = SocketAddr::new(source, tcp.source_port());
    let to = SocketAddr::new(destination, tcp.destination_port());
    let opens = tcp.syn();
    let known = if opens { None } else { streams.iter().rposition(|stream| stream.from == from && stream.to == to) };
    let at = known.unwrap_or_else(|| {
        streams.push(Stream { from, to, payload: Vec::new(), next: None, early: BTreeMap::new() });
        streams.len() - 1
    });
    if let Some(stream) = streams.get_mut(at)
        && (opens || !tcp.payload().is_empty())
    {
        stream.segment(tcp.sequence_number(), opens, tcp.payload());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
    const SERVER: ([u8; 4], u16) = ([10, 0, 0, 2], 9_001);

    fn packet(from: ([u8; 4], u16), to: ([u8; 4], u16), sequence: u32, opens: bool, payload: &[u8]) -> Vec<u8> {
        let mut builder = etherparse::PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(from.0, to.0, 64)
            .tcp(from.1, to.1, sequence, 1024);
        if opens {
            builder = builder.syn();
        }
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    /// A classic capture of Ethernet packets.
    fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for packet in packets {
            let length = u32::try_from(packet.len()).unwrap();
            for word in [0, 0, length, length] {
                out.extend_from_slice(&word.to_le_bytes());
            }
            out.extend_from_slice(packet);
        }
        out
    }

    #[test]
    fn segments_are_put_in_order_and_repeats_dropped() {
        let start = u32::MAX - 1;
        let at = |offset: u32| start.wrapping_add(1).wrapping_add(offset);
        let capture = pcap(&[
            packet(CLIENT, SERVER, start, true, b""),
            packet(SERVER, CLIENT, 7, true, b""),
            packet(CLIENT, SERVER, at(0), false, b"abc"),
            packet(CLIENT, SERVER, at(5), false, b"fg"),
            packet(SERVER, CLIENT, 8, false, b"reply"),
            packet(CLIENT, SERVER, at(2), false, b"cde"),
            packet(CLIENT, SERVER, at(0), false, b"abc"),
            packet(CLIENT, SERVER, at(9), false, b"after a hole"),
        ]);
        assert!(is_capture(&capture));
        let streams = streams(&capture).unwrap();
        let read: Vec<_> = streams.iter().map(|stream| (stream.title(), stream.payload.as_slice())).collect();
        assert_eq!(
            read,
            [
                ("10.0.0.1:40000 -> 10.0.0.2:9001".to_owned(), &b"abcdefg"[..]),
                ("10.0.0.2:9001 -> 10.0.0.1:40000".to_owned(), b"reply"),
            ]
        );
        assert!(streams[0].has_port(9_001) && !streams[0].has_port(1));
    }

    #[test]
    fn a_capture_may_begin_in_the_middle_of_a_conversation() {
        let capture = pcap(&[packet(CLIENT, SERVER, 500, false, b"one "), packet(CLIENT, SERVER, 504, false, b"two")]);
        assert_eq!(streams(&capture).unwrap()[0].payload, b"one two");
    }

    #[test]
    fn a_capture_that_breaks_off_is_an_error_or_what_it_holds_but_never_a_panic() {
        let capture = pcap(&[packet(CLIENT, SERVER, 500, false, b"one")]);
        for length in 0..capture.len() {
            let _ = streams(&capture[..length]);
        }
    }
}
