//! Measurements that need threads, sockets or a whole process; each prints one JSON object.

mod hop;
mod load;
mod memory;
mod socket;

use std::process::ExitCode;

const USAGE: &str = "usage: wayfare-bench MEASUREMENT

  hop      CPU time per packet of a relay against that of a bare quinn datagram hop
  memory   bytes that an idle circuit holds at a relay";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let result = match arguments.next().as_deref() {
        Some("hop") => hop::run(),
        Some("memory") => memory::run(),
        _ => Err(USAGE.into()),
    };
    match result {
        Ok(figures) => {
            println!("{figures}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::from(2)
        }
    }
}
