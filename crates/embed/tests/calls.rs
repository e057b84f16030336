//! Every call with whatever one can pass: a result or a failure with a code, never a panic.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use proptest::prelude::*;
use wayfare_embed::*;
use wayfare_types::Reason;

fn engine() -> EmbeddedEngine {
    let options = r#"{"roles":{"client":true,"relay":true,"exit":true},"freshKeys":false,
        "limits":{"circuits":10,"setupsPerSecond":5,"readerBytes":1000,"windowBytesMax":70000}}"#;
    let mut engine = EmbeddedEngine::new(options, &[1; 32], &[2; 32], 0.0, 0.0).unwrap();
    engine.set_onion_keys(&[3; 64]).unwrap();
    engine
}

/// Ids of some calls are results of others, so small numbers are likely to mean something.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![6 => (0..4u32).prop_map(f64::from), 2 => (0..100_000_000u32).prop_map(f64::from), 1 => any::<f64>()]
}

fn text() -> impl Strategy<Value = String> {
    let id = wayfare_quic::tls::Identity::from_seed(&[9; 32]).unwrap().id().to_string();
    prop_oneof![
        3 => Just(String::new()),
        2 => Just(id),
        1 => prop::sample::select(&["M", "L", "aes128gcm", "refused", "timeout", "192.0.2.1:80", "a.example"][..])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => Just(Vec::new()),
        2 => prop::collection::vec(any::<u8>(), 0..200),
        1 => Just(vec![5; 32]),
        1 => Just(vec![6; 3 * 1248]),
        // The beginnings of frames: a caller's, a HELLO, a set-up.
        1 => Just([&[0x41, 0, 64][..], &[7; 64]].concat()),
        1 => Just(vec![1, 0, 6, 1, 1, 0, 0, 0, 0]),
        1 => Just([&[2, 0x18, 0x64][..], &[8; 6244]].concat()),
        1 => Just([&[0, 30][..], &[0x20; 30], &[0, 0]].concat()),
    ]
}

type Args = ([f64; 3], bool, [String; 2], Vec<u8>);

fn call(e: &mut EmbeddedEngine, which: u8, args: Args) -> Result<(), Failure> {
    let ([now, a, b], flag, [s, t], mut bytes) = args;
    match which {
        0 => e.link_start(now, a, flag, &s, &t, &bytes, b),
        1 => e.link_mtu(a, b),
        2 => e.link_stop(now, a),
        3 => e.handle_control(now, a, &bytes),
        4 => e.handle_packets(now, a, &bytes),
        5 => e.handle_timeout(now, b),
        6 => e.outputs(now, &mut vec![0; if flag { 16384 } else { bytes.len() }]).map(drop),
        7 => e.events().map(|events| {
            serde_json::from_str::<serde_json::Value>(&events).map_or_else(|_| assert!(events.is_empty()), drop);
        }),
        8 => e.next_timeout(now).map(|at| assert!(at >= -1.0)),
        9 => e.set_onion_keys(&bytes),
        10 => e.set_forwarding(flag),
        11 => e.next_hop_unreachable(now, &s),
        12 => e.circuit_open(now, &bytes, &s, &t, 1.0).map(drop),
        13 => e.circuit_close(now, a),
        14 => e.circuit_stats(a).map(drop),
        15 => e.connection_open(now, a).map(drop),
        16 => e.connection_move(now, a, b),
        17 => e.connection_close(now, a),
        18 => e.flow_open(now, a, &s, b).map(drop),
        19 => e.flow_accept(now, a, &s),
        20 => e.flow_refuse(now, a, &s),
        21 => e.flow_read(now, a, &mut bytes).map(drop),
        22 => e.flow_write(now, a, &bytes).map(drop),
        23 => e.flow_finish(now, a),
        24 => e.flow_reset(now, a),
        25 => e.flow_release(now, a),
        26 => e.stats().map(drop),
        27 => e.id().map(drop),
        28 => e.drain(),
        _ => {
            e.close();
            Ok(())
        }
    }
}

fn arguments() -> impl Strategy<Value = Args> {
    ([number(), number(), number()], any::<bool>(), [text(), text()], bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_sequence_of_calls_gives_results_or_codes(calls in prop::collection::vec((0..30u8, arguments()), 1..60)) {
        let mut e = engine();
        let mut closed = false;
        for (which, args) in calls {
            closed |= which >= 29;
            match call(&mut e, which, args) {
                Ok(()) => prop_assert!(!closed || which >= 29),
                Err(failure) if closed => prop_assert_eq!(failure.code, Failure::CLOSED),
                Err(failure) => {
                    let known = Reason::ALL.iter().any(|r| r.name() == failure.code);
                    prop_assert!(known || failure.code == Failure::INVALID, "{failure}");
                }
            }
        }
    }
}

#[test]
fn what_is_wrong_is_named() {
    let make = |options: &str, seed: usize, random: usize| {
        EmbeddedEngine::new(options, &vec![1; seed], &vec![2; random], 0.0, 0.0).map(drop).unwrap_err().to_string()
    };
    let good = r#"{"roles":{"client":true,"relay":false,"exit":false},"freshKeys":true}"#;
    assert_eq!(make(good, 31, 32), "argument_invalid: an identity seed has 32 bytes, not 31");
    assert_eq!(make(good, 32, 0), "argument_invalid: a seed of randomness has 32 bytes, not 0");
    assert!(make(r#"{"freshKeys":true}"#, 32, 32).contains("roles"));
    assert!(make(r#"{"roles":{},"freshKeys":true,"listen":[]}"#, 32, 32).starts_with("argument_invalid: "));

    let mut e = engine();
    let failure = |r: Result<(), Failure>| r.unwrap_err().to_string();
    assert_eq!(failure(e.link_stop(f64::NAN, 1.0)), "argument_invalid: now_us is a time since its origin, not NaN");
    assert_eq!(
        failure(e.link_stop(0.0, 0.5)),
        "argument_invalid: a link is a whole number from 0 to 4294967295, not 0.5"
    );
    assert_eq!(failure(e.connection_open(0.0, 7.0).map(drop)), "circuit_unknown: circuit unknown");
    let hop = vec![1; 1248];
    assert_eq!(failure(e.circuit_open(0.0, &hop, "M", "", 0.0).map(drop)), "setup_unreachable: setup unreachable");
    assert!(failure(e.circuit_open(0.0, &hop, "S", "", 0.0).map(drop)).contains("size class"));
    assert!(failure(e.circuit_open(0.0, &hop, "M", "rot13", 0.0).map(drop)).contains("rot13"));
    assert!(failure(e.circuit_open(0.0, &hop[1..], "M", "", 0.0).map(drop)).contains("1247"));
    assert!(failure(e.handle_packets(0.0, 1.0, &[0, 9, 1])).contains("ends within"));
    assert!(failure(e.outputs(0.0, &mut [0; 100]).map(drop)).contains("16384"));
    assert!(failure(e.link_start(0.0, 1.0, true, "", "", &[], 1200.0)).contains("names the peer"));
    e.close();
    e.close();
    assert_eq!(failure(e.id().map(drop)), "closed: the engine is closed; make another");
}
