//! A link's beginning under a peer who sends anything: nobody is believed without a signature, the outcome does not depend on
//! how the bytes are cut, and after an error it stays one.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wayfare_link::{Begin, LinkStart};
use wayfare_quic::tls::Identity;
use wayfare_types::NodeId;

static OWN: LazyLock<Identity> = LazyLock::new(|| Identity::from_seed(&[1; 32]).expect("any seed is one"));

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (kind, cut, bytes) = input;
    let peer = NodeId([3; 32]);
    let begin = match kind % 3 {
        0 => Begin::Proven(peer),
        1 => Begin::Dial { peer, bindings: vec![[4; 32]], nonce: [5; 32] },
        _ => Begin::Accept { binding: [4; 32], nonce: [5; 32] },
    };
    let proven = matches!(begin, Begin::Proven(_));
    let mut outcome = Vec::new();
    for cut in [usize::from(cut).max(1), bytes.len().max(1)] {
        let mut said = Vec::new();
        let mut start = LinkStart::new(begin.clone(), OWN.id(), 0, &mut said);
        let (mut result, mut left) = (Ok(None), 0);
        for mut piece in bytes.chunks(cut) {
            if result == Ok(None) {
                result = start.take(&OWN, &mut piece, &mut said);
            }
            left += piece.len();
        }
        if let Err(reason) = result {
            assert_eq!(start.take(&OWN, &mut &[0][..], &mut said), Err(reason));
        }
        if let Ok(Some(up)) = result {
            assert!(proven && up.peer == peer);
        }
        // How much of a broken stream was looked at is a matter of the cut.
        outcome.push((result, said, if result.is_err() { 0 } else { left }));
    }
    assert_eq!(outcome[0], outcome[1]);
});
