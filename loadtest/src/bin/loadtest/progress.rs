//! The live line.

use std::io::{IsTerminal, Write as _};

use loadtest::run::gauge::Sample;

/// The live line: rewritten on a terminal, now and then a new one elsewhere.
pub(crate) struct ProgressLine {
    plan: String,
    terminal: bool,
    shown: usize,
}

impl ProgressLine {
    /// A line about `plan`.
    pub(crate) fn new(plan: &str) -> Self {
        Self { plan: plan.to_owned(), terminal: std::io::stderr().is_terminal(), shown: 0 }
    }

    /// Shows what goes on.
    pub(crate) fn show(&mut self, phase: &str, sample: &Sample) {
        self.shown += 1;
        if !self.terminal && !self.shown.is_multiple_of(20) {
            return;
        }
        // A server whose process is out of sight uses something all the same.
        let server = match sample.server_kib {
            0.0 => String::new(),
            kib => format!("server {:.0} % {:.0} MiB, ", sample.server_cpu_percent, kib / 1_024.0),
        };
        let line = format!(
            "{} {:>5.0} s {phase}: {} in, {} failed, {:.0} packets/s in, loss so far {:.2} %, {server}generator {:.0} %",
            self.plan,
            sample.at,
            sample.joined,
            sample.failures,
            sample.received_rate,
            sample.loss_so_far_percent,
            sample.own_cpu_percent,
        );
        write_progress(&if self.terminal { format!("\r\x1b[K{line}") } else { format!("{line}\n") });
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        if self.terminal {
            write_progress("\r\x1b[K");
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own progress")]
fn write_progress(text: &str) {
    eprint!("{text}");
    let _ = std::io::stderr().flush();
}
