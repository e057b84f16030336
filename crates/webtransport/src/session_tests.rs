use proptest::prelude::*;

use super::*;

const PATH: &[u8] = b"/wayfare";

fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = if name.len() < 7 { vec![0x20 | name.len() as u8] } else { vec![0x27, (name.len() - 7) as u8] };
    out.extend_from_slice(name);
    out.push(value.len() as u8);
    out.extend_from_slice(value);
    out
}

fn request(path: &[u8], protocol: &[u8]) -> Vec<u8> {
    let section = [
        &[0, 0, 0xc0 | 15, 0xc0 | 23][..],
        &literal(b":authority", b"127.0.0.1:4433"),
        &literal(b":path", path),
        &literal(b":protocol", protocol),
        &literal(b"origin", b"https://example.org"),
    ];
    let mut out = Vec::new();
    tlv::write(HEADERS, &section.concat(), &mut out);
    out
}

fn connect() -> Vec<u8> {
    request(PATH, b"webtransport")
}

/// A control stream that allows datagrams.
fn client_settings() -> Vec<u8> {
    let mut out = vec![0];
    tlv::write(4, &[0x01, 0x40, 0x64, 0x33, 1], &mut out);
    out
}

fn stream_of(session: u64) -> Vec<u8> {
    let mut out = Vec::new();
    varint::write(SESSION_STREAM, &mut out);
    varint::write(session, &mut out);
    out
}

/// Hands bytes over as the driver does: never more than is wanted. What is not wanted any more comes back.
fn feed<'a>(session: &mut Session, stream: u64, bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
    feed_by(usize::MAX, session, stream, bytes)
}

/// The same in pieces of so many bytes at most.
fn feed_by<'a>(piece: usize, session: &mut Session, stream: u64, mut bytes: &'a [u8]) -> Result<&'a [u8], Fault> {
    while !bytes.is_empty() {
        let want = session.wants(stream).min(piece).min(bytes.len());
        if want == 0 {
            break;
        }
        let (own, rest) = bytes.split_at(want);
        bytes = rest;
        session.take(stream, own)?;
    }
    Ok(bytes)
}

fn actions(session: &mut Session) -> Vec<Action> {
    std::iter::from_fn(|| session.poll()).collect()
}

/// A session that stands, asked for on stream 0.
fn standing() -> Session {
    let mut session = Session::new(PATH);
    session.opened(2);
    feed(&mut session, 2, &client_settings()).unwrap();
    session.opened(0);
    feed(&mut session, 0, &connect()).unwrap();
    assert_eq!(actions(&mut session).last(), Some(&Action::Open));
    session
}

#[test]
fn a_session_opens_once_request_and_settings_are_there_in_either_order() {
    for settings_first in [true, false] {
        let mut session = Session::new(PATH);
        session.opened(0);
        session.opened(2);
        let parts = [(2, client_settings()), (0, connect())];
        let order = if settings_first { [0, 1] } else { [1, 0] };
        for (at, index) in order.into_iter().enumerate() {
            let (stream, bytes) = &parts[index];
            assert_eq!(actions(&mut session), [], "before part {at}");
            assert_eq!(feed(&mut session, *stream, bytes), Ok(&[][..]));
        }
        // HEADERS of three bytes: no table, base 0, and entry 25 of RFC 9204's static table, ":status: 200".
        let expected = [Action::Write { stream: 0, data: vec![1, 3, 0, 0, 0xd9] }, Action::Open];
        assert_eq!(actions(&mut session), expected);
        assert_eq!(session.id(), Some(0));
    }
}

#[test]
fn the_sessions_streams_are_handed_out_where_their_head_ends() {
    let mut session = standing();
    session.opened(4);
    let bytes = [&stream_of(0)[..], b"content"].concat();
    assert_eq!(feed(&mut session, 4, &bytes), Ok(&b"content"[..]));
    session.opened(8);
    assert_eq!(feed(&mut session, 8, &stream_of(0)), Ok(&[][..]));
    let expected = [Action::Stream { stream: 4, first: true }, Action::Stream { stream: 8, first: false }];
    assert_eq!(actions(&mut session), expected);
    assert_eq!((session.wants(4), session.wants(8)), (0, 0));
    // draft-ietf-webtrans-http3, section 4.2: the signal value 0x41 in two bytes, then the session.
    assert_eq!(session.stream_head(), [0x40, 0x41, 0]);
    assert_eq!(session.datagram_prefix(), [0]);
}

#[test]
fn the_first_stream_is_the_first_opened_whichever_arrives_first() {
    let mut session = standing();
    session.opened(4);
    session.opened(8);
    feed(&mut session, 8, &stream_of(0)).unwrap();
    assert_eq!(actions(&mut session), []);
    feed(&mut session, 4, &stream_of(0)).unwrap();
    let expected = [Action::Stream { stream: 4, first: true }, Action::Stream { stream: 8, first: false }];
    assert_eq!(actions(&mut session), expected);
}

#[test]
fn streams_that_overtake_the_request_wait_for_it() {
    let mut session = Session::new(PATH);
    [0, 2, 4, 8].into_iter().for_each(|stream| session.opened(stream));
    feed(&mut session, 4, &stream_of(0)).unwrap();
    feed(&mut session, 8, &stream_of(12)).unwrap();
    feed(&mut session, 2, &client_settings()).unwrap();
    assert_eq!(actions(&mut session), []);
    feed(&mut session, 0, &connect()).unwrap();
    let got = actions(&mut session);
    assert!(got.contains(&Action::Stream { stream: 4, first: true }), "{got:?}");
    assert!(got.contains(&Action::Refuse { stream: 8, answer: None, code: code::BUFFERED_STREAM_REJECTED }));
}

#[test]
fn what_asks_for_something_else_is_answered_404() {
    for bytes in [request(b"/", b"webtransport"), request(PATH, b"websocket"), request(b"/wayfare?", b"webtransport")] {
        let mut session = Session::new(PATH);
        session.opened(2);
        feed(&mut session, 2, &client_settings()).unwrap();
        session.opened(0);
        feed(&mut session, 0, &bytes).unwrap();
        // Entry 27 of the static table: ":status: 404".
        let answer = Some(vec![1, 3, 0, 0, 0xdb]);
        assert_eq!(actions(&mut session), [Action::Refuse { stream: 0, answer, code: code::NO_ERROR }]);
        session.opened(4);
        feed(&mut session, 4, &connect()).unwrap();
        assert_eq!(session.id(), Some(4), "the right request still opens it");
    }
}

#[test]
fn there_is_one_session() {
    let mut session = standing();
    session.opened(4);
    feed(&mut session, 4, &connect()).unwrap();
    assert_eq!(actions(&mut session), [Action::Refuse { stream: 4, answer: None, code: code::REQUEST_REJECTED }]);
}

#[test]
fn the_client_closes_by_capsule_by_end_or_by_breaking_off() {
    let mut capsule = standing();
    // What we say ourselves is what a client would.
    feed(&mut capsule, 0, &Session::closing(7, "bye")).unwrap();
    assert_eq!(actions(&mut capsule), [Action::Closed]);
    let mut ended = standing();
    ended.ended(0).unwrap();
    assert_eq!(actions(&mut ended), [Action::Closed]);
    let mut broken = standing();
    broken.gone(0).unwrap();
    assert_eq!(actions(&mut broken), [Action::Closed]);
}

#[test]
fn closing_text_is_cut_at_a_character() {
    let text = "ä".repeat(600);
    let bytes = Session::closing(1, &text[..]);
    let mut session = standing();
    feed(&mut session, 0, &bytes).unwrap();
    assert_eq!(actions(&mut session), [Action::Closed]);
    assert!(bytes.len() < 1024 + 20);
}

#[test]
fn datagrams_of_other_sessions_and_of_none_are_dropped() {
    let session = standing();
    assert_eq!(session.datagram(&[0, 9, 9]), Ok(1));
    assert_eq!(session.datagram(&[0x40, 0, 9]), Ok(2));
    assert_eq!(session.datagram(&[1, 9]), Err(Reason::WebRefused));
    assert_eq!(session.datagram(&[]), Err(Reason::PacketTruncated));
    assert_eq!(Session::new(PATH).datagram(&[0, 9]), Err(Reason::WebRefused));
}

/// A stream, what it brings, and the fault that follows.
fn fault(stream: u64, bytes: &[u8]) -> (Reason, u64) {
    let mut session = Session::new(PATH);
    session.opened(stream);
    let fault = feed(&mut session, stream, bytes).map(|_| ()).unwrap_err();
    (fault.reason, fault.code)
}

fn frame(kind: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    tlv::write(kind, content, &mut out);
    out
}

#[test]
fn broken_rules_are_named_by_the_standards_codes() {
    use Reason::{WebMalformed, WebOversized};
    let control = |frame: &[u8]| [&[0][..], frame].concat();
    let with_settings = |more: &[u8]| [&client_settings()[..], more].concat();
    for (stream, bytes, expected, what) in [
        (0, frame(DATA, b"x"), (WebMalformed, 0x105), "data before headers"),
        (0, frame(4, b""), (WebMalformed, 0x105), "settings on a request"),
        (0, frame(HEADERS, &[0, 0, 0x80]), (WebMalformed, 0x200), "a reference into a table that is not there"),
        (0, frame(HEADERS, &[0, 0, 0xcf, 0xcf]), (WebMalformed, 0x10e), "a method twice"),
        (0, frame(HEADERS, &[]), (WebMalformed, 0x200), "empty headers"),
        (
            0,
            [&[1][..], &[0x80, 0, 0x20, 1]].concat(),
            (WebOversized, 0x107),
            "headers of 8,193 bytes, said but not sent",
        ),
        (0, [&[0x21][..], &[0xc0, 0, 0, 1, 0, 0, 0, 0]].concat(), (WebOversized, 0x107), "4 GiB of nothing"),
        (0, [connect(), connect()].concat(), (WebMalformed, 0x105), "headers twice"),
        (0, [connect(), frame(DATA, &frame(0x2843, &[1]))].concat(), (WebMalformed, 0x33), "a capsule too short"),
        (4, stream_of(1), (WebMalformed, 0x108), "a session of the server's"),
        (2, vec![1], (WebMalformed, 0x103), "a push"),
        (2, vec![2, 0x3f, 0x01], (WebMalformed, 0x201), "a table"),
        (2, control(&frame(7, &[0])), (WebMalformed, 0x10a), "no settings"),
        (2, control(&frame(4, &[0x33])), (WebMalformed, 0x106), "settings cut off"),
        (2, control(&frame(4, &[0x33, 0])), (WebMalformed, 0x109), "no datagrams"),
        (2, control(&frame(4, &[0x02, 0, 0x33, 1])), (WebMalformed, 0x109), "a setting of HTTP/2"),
        (2, control(&[4, 0x44, 1]), (WebOversized, 0x107), "settings of 1,025 bytes"),
        (2, with_settings(&frame(4, &[])), (WebMalformed, 0x105), "settings twice"),
        (2, with_settings(&frame(0, &[1])), (WebMalformed, 0x105), "data on the control stream"),
    ] {
        assert_eq!(fault(stream, &bytes), expected, "{what}");
    }
    let mut session = standing();
    assert_eq!(session.ended(2).unwrap_err().code, 0x104, "the control stream ends");
    session.opened(6);
    assert_eq!(feed(&mut session, 6, &[0]).unwrap_err().code, 0x103, "a second control stream");
    let mut cut = Session::new(PATH);
    cut.opened(0);
    feed(&mut cut, 0, &connect()[..20]).unwrap();
    assert_eq!(cut.ended(0).unwrap_err().code, 0x106, "a request that is cut off");
}

#[test]
fn greasing_is_not_minded_and_foreign_streams_are_refused() {
    let mut session = Session::new(PATH);
    [0, 2, 6, 10, 14].into_iter().for_each(|stream| session.opened(stream));
    feed(&mut session, 2, &[&client_settings()[..], &frame(0x21, b"grease"), &frame(0xf0700, b"p")].concat()).unwrap();
    feed(&mut session, 0, &[frame(0x40, b"grease"), connect(), frame(DATA, &frame(0x17, b"grease"))].concat()).unwrap();
    feed(&mut session, 6, &[2, 0x20]).unwrap();
    feed(&mut session, 10, &[3, 0x40, 0x80, 1]).unwrap();
    assert_eq!(session.id(), Some(0));
    actions(&mut session);
    feed(&mut session, 14, &[0x40, 0x54, 0, 1, 2, 3]).unwrap();
    let expected = [Action::Refuse { stream: 14, answer: None, code: code::STREAM_CREATION }];
    assert_eq!(actions(&mut session), expected);
}

#[test]
fn whoever_is_refused_too_often_is_closed() {
    let mut session = standing();
    for at in 1..=u64::from(REFUSED_MAX) {
        session.opened(4 * at);
        feed(&mut session, 4 * at, &connect()).unwrap();
    }
    session.opened(4000);
    let fault = feed(&mut session, 4000, &connect()).unwrap_err();
    assert_eq!((fault.reason, fault.code), (Reason::WebRefused, code::EXCESSIVE_LOAD));
}

#[derive(Clone, Debug)]
enum Step {
    Bytes(u64, Vec<u8>),
    End(u64),
    Gone(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let known = prop_oneof![
        Just(connect()),
        Just(client_settings()),
        Just(stream_of(0)),
        Just(stream_of(4)),
        Just(Session::closing(0, "x")),
        Just(frame(HEADERS, &[0, 0, 0xcf])),
    ];
    let bytes = prop_oneof![3 => known, 2 => proptest::collection::vec(any::<u8>(), 0..40)];
    let stream = 0u64..24;
    let step = prop_oneof![
        8 => (stream.clone(), bytes).prop_map(|(stream, bytes)| Step::Bytes(stream & !1, bytes)),
        1 => stream.clone().prop_map(|stream| Step::End(stream & !1)),
        1 => stream.prop_map(|stream| Step::Gone(stream & !1)),
    ];
    proptest::collection::vec(step, 0..40)
}

/// Runs the steps, bytes in pieces of so many at most, to their end or the first fault.
fn run(steps: &[Step], piece: usize) -> (Vec<Action>, Option<Fault>) {
    let mut session = Session::new(PATH);
    let mut opened = [false; 32];
    let mut all = Vec::new();
    for step in steps {
        let stream = match step {
            Step::Bytes(s, _) | Step::End(s) | Step::Gone(s) => *s,
        };
        // QUIC opens all streams of a kind below one that is used.
        for below in (stream & 3..=stream).step_by(4) {
            if !std::mem::replace(&mut opened[below as usize], true) {
                session.opened(below);
            }
        }
        let done = match step {
            Step::Bytes(_, bytes) => feed_by(piece, &mut session, stream, bytes).map(|_| ()),
            Step::End(_) => session.ended(stream),
            Step::Gone(_) => session.gone(stream),
        };
        all.extend(actions(&mut session));
        if let Err(fault) = done {
            return (all, Some(fault));
        }
    }
    (all, None)
}

proptest! {
    #[test]
    fn it_makes_no_difference_how_bytes_are_cut(steps in steps(), piece in 1usize..9) {
        prop_assert_eq!(run(&steps, piece), run(&steps, usize::MAX));
    }

    #[test]
    fn whatever_comes_nothing_is_handed_out_twice_or_without_a_session(steps in steps()) {
        let (mut given, mut refused, mut is_open) = (Vec::new(), Vec::new(), false);
        for action in run(&steps, usize::MAX).0 {
            match action {
                Action::Open => prop_assert!(!std::mem::replace(&mut is_open, true)),
                Action::Stream { stream, first } => {
                    prop_assert!(is_open && !given.contains(&stream) && !refused.contains(&stream));
                    prop_assert_eq!(first, given.is_empty());
                    prop_assert!(given.is_empty() || given[0] < stream);
                    given.push(stream);
                }
                Action::Refuse { stream, .. } => {
                    prop_assert!(!refused.contains(&stream) && !given.contains(&stream));
                    refused.push(stream);
                }
                Action::Write { .. } | Action::Closed => {}
            }
        }
    }
}
