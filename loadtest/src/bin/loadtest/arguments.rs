//! What the command line takes.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Takes a number within a range and nothing else: no NaN, and no number without a meaning.
fn from_to(least: f64, most: f64) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| {
        let value = text.parse::<f64>().ok().filter(|value| (least..=most).contains(value));
        value.ok_or_else(|| format!("write a number from {least} to {most}"))
    }
}

/// The same for what is counted.
fn whole_to(most: u32) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| {
        let value = text.parse::<u32>().ok().filter(|value| *value <= most);
        value.map(f64::from).ok_or_else(|| format!("write a whole number from 0 to {most}"))
    }
}

/// How often.
fn count(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| {
        let value = text.parse().ok().filter(|value| (least..=most).contains(value));
        value.ok_or_else(|| format!("write a whole number from {least} to {most}"))
    }
}

/// An address that can be sent to.
fn with_port(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().ok().filter(|address: &SocketAddr| address.port() != 0);
    address.ok_or_else(|| "write ADDRESS:PORT with a port from 1 to 65535".to_owned())
}

/// Synthetic callers against a conferencing server. Exit code: 0 every plan passed, 1 one failed, 2 it could not be run,
/// 3 the generator was saturated and there is no verdict.
#[derive(Parser)]
#[command(version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs plans, one after another, each against a server of its own unless one is given.
    Run(Box<RunArguments>),
    /// Lists the plans.
    List {
        /// The folder they are in.
        #[arg(long, value_name = "FOLDER", default_value = "loadtest/plans")]
        plans: PathBuf,
    },
    /// Sets two reports beside each other. Exit code: 1 when a figure or verdict became worse, or something is not measured
    /// or not run any more; 2 when they have no plan in common; 3 when a run is INVALID.
    Compare {
        /// The report (--json) of before.
        baseline: PathBuf,
        /// The report of now.
        now: PathBuf,
        /// How much a figure may change without meaning anything, in percent.
        #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 1_000.0), default_value_t = 10.0)]
        tolerance: f64,
    },
    /// Measures what participants, conferences and joins cost on this machine, for plan-capacity.
    Calibrate {
        /// The server's binary; by default the one beside this program.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// Where the costs are written.
        #[arg(long, value_name = "FILE", default_value = "target/loadtest/costs.json")]
        output: PathBuf,
    },
    /// How many nodes, how much bandwidth and memory a company needs, by the costs that calibrate measured.
    PlanCapacity(CapacityArguments),
    /// Carries datagrams of one client to a server and back over a bad network, until Ctrl-C.
    Relay(RelayArguments),
    /// Runs the same plans against Convoke and Janus AudioBridge in turn. Exit code: 1 when a run of Convoke failed, 3 when
    /// the generator was saturated.
    Peers(PeersArguments),
    /// Runs the plans that have goals, and prints goal, measured value and verdict of each. Exit code 1 when one is missed.
    Figures(FiguresArguments),
}

#[derive(clap::Args)]
pub(crate) struct CapacityArguments {
    /// People with an account.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(1.0, 1e9))]
    pub(crate) users: f64,
    /// How many of a hundred are in a conference in the busiest hour.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.001, 100.0), default_value_t = 5.0)]
    pub(crate) in_conference: f64,
    /// People in a conference, on average.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(1.0, 10_000.0), default_value_t = 4.0)]
    pub(crate) size: f64,
    /// How many of a hundred participants come by telephone.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 100.0), default_value_t = 15.0)]
    pub(crate) by_telephone: f64,
    /// Minutes a conference lasts.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(1.0, 1_440.0), default_value_t = 30.0)]
    pub(crate) minutes: f64,
    /// How many of a hundred of a node's processor time may be used.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(1.0, 100.0), default_value_t = 50.0)]
    pub(crate) load: f64,
    /// Nodes that may fail at once: so many come on top of those that the work needs.
    #[arg(long, allow_negative_numbers = true, value_parser = whole_to(1_000), default_value_t = 1.0)]
    pub(crate) spare: f64,
    /// Cores of a node; by default as many as the machine that was measured.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.1, 1_024.0))]
    pub(crate) cores: Option<f64>,
    /// The costs.
    #[arg(long, value_name = "FILE", default_value = "target/loadtest/costs.json")]
    pub(crate) costs: PathBuf,
    /// The recommendation as JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct RelayArguments {
    /// Where the client sends.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: SocketAddr,
    /// Where the server receives.
    #[arg(long, value_parser = with_port, value_name = "ADDRESS:PORT")]
    pub(crate) to: SocketAddr,
    /// Delay in ms, each way.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 10_000.0), default_value_t = 0.0)]
    pub(crate) delay: f64,
    /// The delay varies by as much up and down, in ms.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 10_000.0), default_value_t = 0.0)]
    pub(crate) jitter: f64,
    /// This many of a hundred go ahead of others.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 100.0), default_value_t = 0.0)]
    pub(crate) reorder: f64,
    /// This many of a hundred are lost.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 100.0), default_value_t = 0.0)]
    pub(crate) loss: f64,
    /// Mean length of a run of losses.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 10_000.0), default_value_t = 0.0)]
    pub(crate) burst: f64,
    /// Kilobits in each second; 0: any number.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 1e7), default_value_t = 0.0)]
    pub(crate) rate: f64,
    /// Seconds from cut to cut; 0: none.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 86_400.0), default_value_t = 0.0)]
    pub(crate) cut_every: f64,
    /// Seconds a cut lasts.
    #[arg(long, allow_negative_numbers = true, value_parser = from_to(0.0, 86_400.0), default_value_t = 0.0)]
    pub(crate) cut: f64,
    /// The same seed damages the same datagrams.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

#[derive(clap::Args)]
pub(crate) struct PeersArguments {
    /// Plans in the folder.
    #[arg(default_values = ["peer-room", "peer-rooms", "peer-joins"])]
    pub(crate) plans: Vec<String>,
    /// The folder the plans are in.
    #[arg(long = "plans", value_name = "FOLDER", default_value = "loadtest/plans")]
    pub(crate) folder: PathBuf,
    /// Convoke's binary; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Janus's binary.
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/janus")]
    pub(crate) janus: PathBuf,
    /// Runs of each; the median counts.
    #[arg(long, allow_negative_numbers = true, value_parser = count(1, 100), default_value_t = 1)]
    pub(crate) runs: usize,
    /// Also with SRTP, without the level extension, and with G.711.
    #[arg(long)]
    pub(crate) variants: bool,
    /// Also how many participants each holds, which takes many runs.
    #[arg(long)]
    pub(crate) held: bool,
    /// How often a run is tried again when the generator was saturated.
    #[arg(long, allow_negative_numbers = true, value_parser = count(0, 100), default_value_t = 2)]
    pub(crate) retries: usize,
    /// The machine is shared: what other programs take of it does not make a run invalid.
    #[arg(long)]
    pub(crate) shared: bool,
    /// Where the table (peers.md) and the figures (peers.json) go.
    #[arg(long, value_name = "FOLDER", default_value = "target/loadtest")]
    pub(crate) output: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct RunArguments {
    /// Names of plans in the folder, or files. Without any, all that need not be named.
    pub(crate) plans: Vec<String>,
    /// The folder the plans are in.
    #[arg(long = "plans", value_name = "FOLDER", default_value = "loadtest/plans")]
    pub(crate) folder: PathBuf,
    /// The server's binary, started for each plan; by default the one beside this program.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    pub(crate) binary: Option<PathBuf>,
    /// A server that runs already: where it receives SIP over UDP.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "domain")]
    pub(crate) server: Option<SocketAddr>,
    /// Its domain.
    #[arg(long, requires = "server")]
    pub(crate) domain: Option<String>,
    /// The number of its first conference; a plan's others follow.
    #[arg(long, default_value_t = 7_000)]
    pub(crate) first_number: usize,
    /// The password of its users load0, load1 ... and organizer.
    #[arg(long, default_value = "correct-horse-7")]
    pub(crate) password: String,
    /// Where its /metrics are.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "server")]
    pub(crate) http: Option<SocketAddr>,
    /// Its process, when it runs on this machine.
    #[arg(long, requires = "server")]
    pub(crate) pid: Option<u32>,
    /// How often a plan is tried again when the generator was saturated.
    #[arg(long, allow_negative_numbers = true, value_parser = count(0, 100), default_value_t = 1)]
    pub(crate) retries: usize,
    /// The machine is shared: what other programs take of it does not make a run invalid.
    #[arg(long)]
    pub(crate) shared: bool,
    /// Everything for machines.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// One case for each threshold, for continuous integration.
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Everything for people, with plots, in one file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(crate) struct FiguresArguments {
    /// Names of plans in the folder. Without any, all that need not be named.
    pub(crate) plans: Vec<String>,
    /// The folder the plans are in.
    #[arg(long = "plans", value_name = "FOLDER", default_value = "loadtest/plans/figures")]
    pub(crate) folder: PathBuf,
    /// The server's binary, started for each run; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    /// Runs of each plan, in turn; the median counts.
    #[arg(long, allow_negative_numbers = true, value_parser = count(1, 100), default_value_t = 1)]
    pub(crate) runs: usize,
    /// How often a run is tried again when the generator was saturated.
    #[arg(long, allow_negative_numbers = true, value_parser = count(0, 100), default_value_t = 2)]
    pub(crate) retries: usize,
    /// The machine is shared: what other programs take of it does not make a run invalid.
    #[arg(long)]
    pub(crate) shared: bool,
    /// Where the table (figures.md) and the runs (figures.json) go.
    #[arg(long, value_name = "FOLDER", default_value = "target/loadtest")]
    pub(crate) output: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_meaning_are_refused_with_flag_value_and_range() {
        let cases = [
            ("plan-capacity --users=nan", "1 to 1000000000"),
            ("plan-capacity --users=9 --cores=0", "0.1 to 1024"),
            ("plan-capacity --users=9 --cores -4", "0.1 to 1024"),
            ("plan-capacity --users=9 --spare=-3", "whole number"),
            ("plan-capacity --users=9 --spare=0.5", "whole number"),
            ("plan-capacity --users=9 --in-conference=500", "0.001 to 100"),
            ("plan-capacity --users=9 --in-conference -5", "0.001 to 100"),
            ("plan-capacity --users=9 --by-telephone=300", "0 to 100"),
            ("plan-capacity --users=9 --load=500", "1 to 100"),
            ("plan-capacity --users=9 --size=0.1", "1 to 10000"),
            ("figures --runs 0", "1 to 100"),
            ("peers --runs=-1", "1 to 100"),
            ("run smoke --retries 101", "0 to 100"),
            ("compare a b --tolerance=-5", "0 to 1000"),
            ("compare a b --tolerance=nan", "0 to 1000"),
            ("relay --listen=127.0.0.1:0 --to=127.0.0.1:9 --loss=500", "0 to 100"),
            ("relay --listen=127.0.0.1:0 --to=127.0.0.1:9 --jitter=nan", "0 to 10000"),
            ("relay --listen=127.0.0.1:0 --to=127.0.0.1:0", "1 to 65535"),
        ];
        for (line, range) in cases {
            let words = std::iter::once("loadtest").chain(line.split(' '));
            let Err(why) = Arguments::try_parse_from(words) else { panic!("accepted: {line}") };
            // The last flag of a line is the one that is wrong.
            let (why, last) = (why.to_string(), line.rsplit("--").next().unwrap_or_default());
            let flag = last.split(['=', ' ']).next().unwrap_or_default();
            assert!(why.contains(range) && why.contains(flag), "{line}: {why}");
        }
        assert!(Arguments::try_parse_from(["loadtest", "plan-capacity", "--users=9", "--spare=2"]).is_ok());
    }
}
