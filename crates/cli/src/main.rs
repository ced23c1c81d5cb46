//! The `parlance` binary: reads the environment, prints to the terminal, and exits with a code for scripts.
//!
//! Exit codes: 0 success; 1 failure; 2 invalid command line or configuration; 3 `serve` or `simulate` was ended by a second
//! signal, or `migrate --dry-run` found missing migrations; 130 interrupted before the output file was complete.
//!
//! Only `serve` and `migrate` open the database, and `simulate` needs none; the other commands call a running service, like
//! every client.
//!
//! To add a command: a variant in [`arguments`] and a module with one function, in [`client`] if it calls a service.

mod arguments;
mod banner;
mod client;
mod config;
mod environment;
mod failure;
mod migrate;
mod output;
mod refusal;
mod serve;
mod sessions;
mod show;
mod simulate;

use std::io;
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command, ConfigCommand};
use failure::Failure;
use output::Output;

/// Replies from the cache consist of many small allocations: see ADR 16.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut output = Output::standard();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return print_usage(&error, &mut output),
    };
    // A service that has run is successful even if its banner was not printed.
    let serves = matches!(
        arguments.command,
        Command::Serve { .. } | Command::Simulate(_)
    );
    let ended = run(arguments.command, &mut output);
    let lost = output.take_failure().filter(|_| !serves);
    match ended.and_then(|code| lost.map_or(Ok(code), |error| Err(Failure::Output(error)))) {
        Ok(code) => code,
        Err(failure) => {
            output.error(&failure.to_string());
            failure.code()
        }
    }
}

/// Prints a help text, or the error in the arguments.
fn print_usage(usage: &clap::Error, output: &mut Output) -> ExitCode {
    match usage.print() {
        Err(error) if !usage.use_stderr() && error.kind() != io::ErrorKind::BrokenPipe => {
            let failure = Failure::Output(error);
            output.error(&failure.to_string());
            failure.code()
        }
        _ => ExitCode::from(if usage.use_stderr() { 2 } else { 0 }),
    }
}

fn run(command: Command, output: &mut Output) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve {
            config,
            ephemeral: true,
            ports_json: _,
        } => serve::ephemeral(config.config, output),
        Command::Serve {
            config,
            ephemeral: false,
            ports_json,
        } => serve::run(&config::load(config.config)?, ports_json, output),
        Command::Migrate { config, dry_run } => {
            migrate::run(&config::load(config.config)?, dry_run, output)
        }
        Command::Config(ConfigCommand::Check { config }) => {
            Ok(config::check(&config::load(config.config)?, output))
        }
        Command::Config(ConfigCommand::Docs) => Ok(config::docs(output)),
        Command::Simulate(arguments) => simulate::run(arguments, output),
        Command::Send(send) => client::send(&send, output),
        Command::Reply(reply) => client::reply(&reply, output),
        Command::Get(get) => client::get(&get, output),
        Command::List(list) => client::list(&list, output),
        Command::Search(search) => client::search(&search, output),
        Command::Stats(stats) => client::stats(&stats, output),
        Command::Watch(watch) => client::watch(&watch, output),
        Command::Hold(hold) => client::hold(&hold, output),
        Command::Release(release) => client::release(&release, output),
        Command::Import(import) => client::import(&import, output),
        Command::Export(export) => client::export(&export, output),
        Command::Seed(seed) => client::seed(&seed, output),
        Command::Demo(demo) => client::demo(&demo, output),
    }
}
