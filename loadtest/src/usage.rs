//! What a process has used and what its sockets lost, as the kernel counts it (proc(5)).

use std::collections::HashSet;

use crate::Failure;

/// Ticks in a second of `/proc/PID/stat`: USER_HZ, which is 100 on every Linux that Rust's standard library supports.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor time and memory of a process at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// User and system time of all its threads, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory in KiB.
    pub resident_kib: f64,
}

impl Usage {
    /// Reads it for a living process.
    pub fn of(pid: u32) -> Result<Self, Failure> {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}"));
        Self::parse(&read("stat")?, &read("status")?).ok_or_else(|| Failure("/proc cannot be read".to_owned()))
    }

    fn parse(stat: &str, status: &str) -> Option<Self> {
        // The second field is the program's name in parentheses, and may contain anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let resident_kib = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Self { cpu_seconds: ticks / TICKS_PER_SECOND, resident_kib })
    }
}

/// Processor time of the whole machine since it was started, in seconds: at work, and in all.
pub fn machine_seconds() -> Option<(f64, f64)> {
    machine_of(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// The first line of `/proc/stat`: user, nice, system, idle, waiting for disks, interrupts, soft interrupts, stolen.
fn machine_of(stat: &str) -> Option<(f64, f64)> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<f64> = fields.take(8).map(|field| field.parse().unwrap_or(0.0)).collect();
    let (all, idle) = (ticks.iter().sum::<f64>(), ticks.get(3)? + ticks.get(4)?);
    Some(((all - idle) / TICKS_PER_SECOND, all / TICKS_PER_SECOND))
}

/// Datagrams the kernel dropped because nobody read these sockets (proc(5), `/proc/net/udp`).
pub fn kernel_drops(ports: &[u16]) -> u64 {
    let text = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let ports: HashSet<u16> = ports.iter().copied().collect();
    text.lines().filter_map(dropped_at).filter(|(port, _)| ports.contains(port)).map(|(_, drops)| drops).sum()
}

/// UDP ports of this machine that somebody has, at any address of IPv4 (proc(5), `/proc/net/udp`).
pub fn taken_ports() -> Vec<u16> {
    let text = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    text.lines().filter_map(dropped_at).map(|(port, _)| port).collect()
}

fn dropped_at(line: &str) -> Option<(u16, u64)> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let port = u16::from_str_radix(local.split_once(':')?.1, 16).ok()?;
    Some((port, fields.last()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read_whatever_the_program_is_called() {
        let stat = "42 (a) S b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 4 0 100 1000 10";
        let status = "Name:\ta\nVmRSS:\t    2048 kB\nThreads:\t4\n";
        assert_eq!(Usage::parse(stat, status), Some(Usage { cpu_seconds: 2.0, resident_kib: 2_048.0 }));
        assert_eq!(Usage::parse("42 (a) S", status), None);
    }

    #[test]
    fn idle_time_and_waiting_for_disks_are_no_work() {
        assert_eq!(machine_of("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 1"), Some((1.5, 10.0)));
        assert_eq!(machine_of("intr 1"), None);
    }

    #[test]
    fn drops_are_read_from_the_kernels_table() {
        let line = "  71: 0100007F:9C40 00000000:0000 07 00000000:00000000 00:00000000 00000000  0 0 5123 2 00 17";
        assert_eq!(dropped_at(line), Some((40_000, 17)));
        assert_eq!(dropped_at("  sl  local_address rem_address"), None);
    }
}
