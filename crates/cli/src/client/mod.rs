//! Commands that call a running service, like any client.
//!
//! To add a command: its arguments, a module with `run`, and a function here.

mod demo;
mod export;
mod follow;
mod get;
mod hold;
mod import;
mod import_batch;
mod list;
mod progress;
mod reply;
mod search;
mod seed;
mod send;
mod service;
mod stats;
mod watch;

use std::process::ExitCode;

use crate::arguments::{
    Caller, Demo, Export, Get, Hold, Import, List, Release, Reply, Search, Seed, Send, Stats, Watch,
};
use crate::failure::Failure;
use crate::output::Output;
use crate::show::Screen;
use service::Service;

pub(crate) fn send(arguments: &Send, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        send::run(arguments, service, screen).await
    })
}

pub(crate) fn reply(arguments: &Reply, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        reply::run(arguments, service, screen).await
    })
}

pub(crate) fn get(arguments: &Get, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        get::run(arguments, service, screen).await
    })
}

pub(crate) fn list(arguments: &List, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        list::run(arguments, service, screen).await
    })
}

pub(crate) fn search(arguments: &Search, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        search::run(arguments, service, screen).await
    })
}

pub(crate) fn stats(arguments: &Stats, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        stats::run(arguments, service, screen).await
    })
}

pub(crate) fn watch(arguments: &Watch, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        watch::run(arguments, service, screen).await
    })
}

pub(crate) fn hold(arguments: &Hold, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        hold::hold(service, screen).await
    })
}

pub(crate) fn release(arguments: &Release, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        hold::release(service, screen).await
    })
}

pub(crate) fn demo(arguments: &Demo, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        demo::run(arguments, service, screen).await
    })
}

pub(crate) fn import(arguments: &Import, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        import::run(arguments, service, screen).await
    })
}

pub(crate) fn export(arguments: &Export, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        export::run(arguments, service, screen).await
    })
}

pub(crate) fn seed(arguments: &Seed, output: &mut Output) -> Result<ExitCode, Failure> {
    connect_and_run(&arguments.caller, output, async |service, screen| {
        seed::run(arguments, service, screen).await
    })
}

/// Connects and runs a command. One thread is enough for one command.
fn connect_and_run(
    caller: &Caller,
    output: &mut Output,
    command: impl AsyncFnOnce(&Service, &mut Screen<'_>) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let mut screen = Screen::new(output, caller.json)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let service = Service::connect(caller).await?;
        command(&service, &mut screen).await
    });
    // Does not wait for a thread that is still reading from a pipe.
    runtime.shutdown_background();
    ended.map(|()| ExitCode::SUCCESS)
}
