//! What a hop reads of its set-up, whoever wrote it: read as the format says and emitted unchanged, or refused for the reason due.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wayfare_onion::setup::parts::{INFO_BYTES, Info};
use wayfare_onion::{Role, Suite};
use wayfare_types::{NodeId, Reason};
use wayfare_wire::SizeClass;

/// The format once more, as `setup/info.rs` puts it into words.
fn read(bytes: &[u8; INFO_BYTES]) -> Result<Info, Reason> {
    let (next, ephemeral, minute) = (&bytes[4..36], &bytes[36..68], &bytes[68..72]);
    let suite = match (bytes[0], bytes[1]) {
        (1, 1) => Suite::Aes128Gcm,
        (1, 2) => Suite::Aes256Gcm,
        (1, 3) => Suite::ChaCha20Poly1305,
        (1, _) => return Err(Reason::SetupSuite),
        _ => return Err(Reason::SetupVersion),
    };
    let class = match bytes[2] {
        1 => SizeClass::M,
        2 => SizeClass::L,
        3 => SizeClass::J,
        4 => SizeClass::X,
        _ => return Err(Reason::SetupMalformed),
    };
    let role = match bytes[3] {
        1 => Role::Relay { next: NodeId(next.try_into().expect("32 bytes")) },
        2 if next == [0; 32] => Role::Exit,
        _ => return Err(Reason::SetupMalformed),
    };
    if bytes[72..] != [0; INFO_BYTES - 72] {
        return Err(Reason::SetupMalformed);
    }
    let client_ephemeral = ephemeral.try_into().expect("32 bytes");
    let minute = minute.iter().fold(0, |n, &byte| n << 8 | u32::from(byte));
    Ok(Info { suite, class, role, client_ephemeral, minute })
}

// Bytes that end early go on with zeros: the shortest input that is an info is five bytes.
fuzz_target!(|input: (i8, u8, &[u8])| {
    let (clock, oldest, written) = input;
    let mut bytes = [0; INFO_BYTES];
    let length = written.len().min(INFO_BYTES);
    bytes[..length].copy_from_slice(&written[..length]);
    let info = Info::parse(&bytes);
    assert_eq!(info, read(&bytes));
    let Ok(info) = info else { return };
    assert_eq!(info.to_bytes(), bytes);
    // The hop's clock, and what it remembers set-ups from, around the minute that is told.
    let now = info.minute.wrapping_add_signed(clock.into());
    let oldest = now.saturating_sub(oldest.into());
    let apart = i64::from(now) - i64::from(info.minute);
    let fresh = (-3..=3).contains(&apart) && info.minute >= oldest;
    assert_eq!(info.check_minute(now, oldest), if fresh { Ok(()) } else { Err(Reason::SetupStale) });
});
