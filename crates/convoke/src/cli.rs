//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::config::{self, Config};
use crate::{demo, evaluation, histories, journal, phrases, server, story, watch};

/// Exit codes of every command.
const FAILED: u8 = 1;
const USAGE: u8 = 2;

#[derive(Parser)]
#[command(
    name = "convoke",
    version,
    about = "A self-hosted server for audio conferences and for calls to people and to groups of them."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server until SIGINT or SIGTERM.
    Serve {
        /// Configuration file; without one, everything has its default and stays on loopback.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Hold a conference of talking robots over real SIP and RTP, and leave what they heard as WAV files.
    Demo {
        /// Where the WAV files and the summary go.
        #[arg(long, value_name = "DIRECTORY", default_value = ".")]
        output: PathBuf,
    },
    /// Say what is wrong with a configuration and what to do, without starting.
    Check {
        /// Configuration file.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Tell why things went as they did, from the journal of the response groups.
    Explain {
        #[command(subcommand)]
        what: ExplainCommand,
    },
    /// Replay a journal of the response groups: print its decisions, and fail if they are not byte for byte the same.
    Replay {
        /// The journal: response-groups.journal in `data_dir`.
        file: PathBuf,
    },
    /// List what a language says: the name of each sound file of a folder in `media.languages_dir`, and its text.
    Phrases {
        /// In which language the texts are.
        #[arg(long, value_name = "TAG", default_value = "en")]
        language: String,
    },
    /// Work with configurations.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Subcommand)]
enum ExplainCommand {
    /// The story of one call. Of a response group's: who was and was not offered it, and why; of any other: what it was to
    /// each whom it went to, from the call histories.
    Call {
        /// The Call-ID of the caller's leg, or the number of a response group's call.
        call: String,
        /// Configuration file, for its `data_dir` and database.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The journal to look in alone, if it is not the one in `data_dir`.
        #[arg(long, value_name = "FILE")]
        journal: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print every key with its default and what it means.
    PrintDefault,
}

/// Reads the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    // clap itself exits with 2 when the command line is not understood.
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Serve { config } => serve(config),
        Command::Demo { output } => run_demo(&output),
        Command::Check { config } => check(config),
        Command::Explain { what: ExplainCommand::Call { call, config, journal } } => explain(&call, config, journal),
        Command::Replay { file } => tell(story::replay(&file)),
        Command::Phrases { language } => match phrases::list(&language) {
            Ok(list) => {
                say(&list);
                ExitCode::SUCCESS
            }
            Err(error) => fail(USAGE, &error),
        },
        Command::Config { command: ConfigCommand::PrintDefault } => {
            say(&config::print_default());
            ExitCode::SUCCESS
        }
    }
}

fn serve(path: Option<PathBuf>) -> ExitCode {
    let is_default = path.is_none();
    let mut config = match config::load(path.as_deref()) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, &error.to_string()),
    };
    let mut told = String::new();
    if is_default {
        match evaluation::add(&mut config) {
            Ok(text) => told = text,
            Err(error) => return fail(FAILED, &error),
        }
    }
    let mut findings = config::check(&config);
    let (about_languages, languages) = config::probe_languages(&config);
    findings.extend(about_languages);
    for finding in &findings {
        complain(&finding.to_string());
    }
    if findings.iter().any(config::Finding::is_error) {
        return ExitCode::from(USAGE);
    }
    if let Err(error) = watch::start_log() {
        return fail(USAGE, &error);
    }
    with_runtime(async move {
        ignore_hang_up()?;
        outlive_file_size_limit()?;
        let server = server::start(&config, languages).await?;
        say(&banner(&config, &server));
        say(&told);
        wait_for_signal().await;
        say("draining: no new work is taken; a second signal stops at once\n");
        tokio::select! {
            () = server.drain(Duration::from_secs(config.drain_seconds)) => {}
            () = wait_for_signal() => {}
        }
        server.stop().await;
        Ok(())
    })
}

fn run_demo(output: &std::path::Path) -> ExitCode {
    with_runtime(demo::run(output.to_owned()))
}

fn check(path: Option<PathBuf>) -> ExitCode {
    let config = match config::load(path.as_deref()) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, &error.to_string()),
    };
    let mut findings = config::check(&config);
    findings.extend(config::probe(&config));
    for finding in &findings {
        say(&format!("{finding}\n"));
    }
    if findings.iter().any(config::Finding::is_error) {
        return ExitCode::from(USAGE);
    }
    say("the configuration can be served\n");
    ExitCode::SUCCESS
}

fn explain(call: &str, config: Option<PathBuf>, journal: Option<PathBuf>) -> ExitCode {
    let unknown = |places: &str| format!("no call {call} is in {places}; give the Call-ID of the caller's leg");
    if let Some(path) = journal {
        let told = story::explain(&path, call);
        return tell(told.and_then(|story| story.ok_or_else(|| unknown(&path.display().to_string()))));
    }
    let config = match config::load(config.as_deref()) {
        Ok(config) => config,
        Err(error) => return fail(USAGE, &error.to_string()),
    };
    let path = journal::path_in(&config.data_dir);
    match story::explain(&path, call) {
        Ok(None) => with_runtime(async move {
            let url = config.database_url();
            let told = histories::explain(&url, call).await?;
            say(&told.ok_or_else(|| unknown(&format!("{} or the histories in {url}", path.display())))?);
            Ok(())
        }),
        story => tell(story.map(Option::unwrap_or_default)),
    }
}

fn tell(told: Result<String, String>) -> ExitCode {
    match told {
        Ok(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        Err(error) => fail(FAILED, &error),
    }
}

fn with_runtime(work: impl Future<Output = Result<(), String>>) -> ExitCode {
    // One thread for SIP, engine and HTTP: with more, a message's way from socket to engine and back wakes a thread at
    // each step. `make bench BENCH="--only signalling"` gave 1.07 CPU-seconds per 1,000 calls with a thread per core
    // and 0.66 with one, on two cores with other work on them. Media has its own threads.
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(FAILED, &format!("no threads: {error}")),
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, &error),
    }
}

/// SIGHUP, which a closed terminal sends and by which other servers read their configuration anew, would end this one at once,
/// with everybody left in silence.
fn ignore_hang_up() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hang_ups = signal(SignalKind::hangup()).map_err(|error| format!("SIGHUP cannot be ignored: {error}"))?;
    tokio::spawn(async move {
        while hang_ups.recv().await.is_some() {
            tracing::info!("SIGHUP is ignored: the configuration is read at the start alone; SIGTERM stops the server");
        }
    });
    Ok(())
}

/// SIGXFSZ, which a write past a limit on the size of files sends (`ulimit -f`, `LimitFSIZE=`), would end the server with all its
/// calls. Once it is listened to the write fails instead (`EFBIG`, setrlimit(2)), as on a full disk, and whoever wrote says so.
fn outlive_file_size_limit() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let kind = SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw());
    signal(kind).map(drop).map_err(|error| format!("SIGXFSZ cannot be ignored: {error}"))
}

/// Waits for SIGINT or SIGTERM.
async fn wait_for_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        },
        // Without the handler SIGTERM kills the process, which is an end as well.
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// What an evaluator needs to know in his first minute.
fn banner(config: &Config, server: &server::Server) -> String {
    let mut text = format!("Convoke is up: http://{}/\n", server.http_address());
    for address in server.sip_addresses() {
        text.push_str(&format!("  SIP        {address}  (domain {})\n", config.domain));
    }
    for user in &config.users {
        text.push_str(&format!("  account    {}\n", user.uri));
    }
    for conference in &config.conferences {
        let pin = conference.pin.as_ref().map_or(String::new(), |_| ", with a PIN".to_owned());
        text.push_str(&format!(
            "  conference sip:{}@{} ({}{pin})\n",
            conference.number, config.domain, conference.access
        ));
    }
    for access in &config.access_numbers {
        text.push_str(&format!("  telephone  {}\n", access.number));
    }
    for trunk in &config.trunks {
        text.push_str(&format!("  trunk      {} ({})\n", trunk.name, trunk.target));
    }
    for group in &config.response_groups {
        text.push_str(&format!("  group      {} ({})\n", group.uri, group.name));
    }
    text
}

fn fail(code: u8, error: &str) -> ExitCode {
    complain(error);
    ExitCode::from(code)
}

/// Standard output is this command's product; the log goes elsewhere.
#[expect(clippy::print_stdout, reason = "the command line's own output")]
fn say(text: &str) {
    print!("{text}");
}

#[expect(clippy::print_stderr, reason = "the command line's own errors")]
fn complain(text: &str) {
    eprintln!("convoke: {text}");
}
