//! TCP proxy for fault injection: connections can be cut, blackholed and delayed while clients use them.

mod pipe;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as blocking;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task;

use pipe::Pipe;

const BACKLOG: u32 = 128;

/// What happens to data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything passes.
    Pass,
    /// Every chunk passes after this delay.
    Delay(Duration),
    /// Connections are reset and refused.
    Cut,
    /// Nothing passes in either direction.
    Swallow,
    /// Nothing passes from upstream to clients.
    SwallowReplies,
    /// Nothing passes from clients to upstream.
    SwallowRequests,
}

/// What a proxy looks for in client data.
#[derive(Debug, Clone, Copy, Default)]
struct Patterns {
    /// Marks connections on which a client sends this text.
    marks: Option<&'static str>,
    /// Replaces the first text by the second.
    rewrites: Option<(&'static str, &'static str)>,
}

impl Patterns {
    fn marking(text: &'static str) -> Self {
        Self {
            marks: Some(text),
            rewrites: None,
        }
    }

    fn rewriting(from: &'static str, to: &'static str) -> Self {
        Self {
            marks: None,
            rewrites: Some((from, to)),
        }
    }
}

/// A mode, and the connections that it applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ModeSetting {
    mode: Mode,
    /// Whether it applies to marked connections only; everything passes on the others.
    marked_only: bool,
}

impl ModeSetting {
    fn of(self, marked: bool) -> Mode {
        if self.marked_only && !marked {
            Mode::Pass
        } else {
            self.mode
        }
    }
}

/// Command to a running proxy.
#[derive(Debug, Clone, Copy)]
enum Command {
    Switch(ModeSetting),
    /// Directs new connections to another address.
    Redirect(SocketAddr),
    /// Blackholes the open connections for good.
    Strand,
}

/// Each command has a channel that confirms its completion.
type Commands = mpsc::UnboundedSender<(Command, blocking::Sender<()>)>;

/// A proxy on a port of 127.0.0.1. It runs in a thread of its own, so it works while the test's runtime is busy or its
/// clock is paused.
///
/// A mode applies to open and to new connections. It is in effect when the method that sets it returns.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    commands: Option<Commands>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts a proxy in front of an address; everything passes.
    pub fn start(upstream: SocketAddr) -> Self {
        Self::launch(upstream, Patterns::default())
    }

    /// Starts a proxy that marks connections on which a client sends this text.
    pub fn start_marking(upstream: SocketAddr, text: &'static str) -> Self {
        Self::launch(upstream, Patterns::marking(text))
    }

    /// Starts a proxy that replaces a text in client data by another of the same length. A text that is split across
    /// two chunks is not replaced.
    pub fn start_rewriting(upstream: SocketAddr, from: &'static str, to: &'static str) -> Self {
        assert_eq!(from.len(), to.len(), "the texts must have the same length");
        Self::launch(upstream, Patterns::rewriting(from, to))
    }

    fn launch(upstream: SocketAddr, patterns: Patterns) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let (started, starting) = blocking::channel();
        let thread = std::thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime for the proxy");
                runtime.block_on(async {
                    let proxy = Running::new(upstream, patterns);
                    started
                        .send(proxy.address)
                        .expect("the caller waits for the proxy to start");
                    proxy.run(received).await;
                });
            })
            .expect("a thread for the proxy");
        Self {
            address: starting.recv().expect("the proxy finds a port"),
            commands: Some(commands),
            thread: Some(thread),
        }
    }

    /// Returns the address for clients.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every connection and refuses new ones.
    pub fn cut(&self) {
        self.switch(Mode::Cut);
    }

    /// Accepts connections and discards all data in both directions, including the end of a connection.
    pub fn black_hole(&self) {
        self.switch(Mode::Swallow);
    }

    /// Requests reach upstream and are executed, but the replies are discarded.
    pub fn lose_replies(&self) {
        self.switch(Mode::SwallowReplies);
    }

    /// Discards requests; data that upstream sends by itself passes.
    pub fn lose_requests(&self) {
        self.switch(Mode::SwallowRequests);
    }

    /// Delays every chunk in both directions; the order is kept.
    pub fn delay(&self, delay: Duration) {
        self.switch(Mode::Delay(delay));
    }

    /// Lets everything pass again, delayed chunks immediately. Connections that lost data are reset, because the rest
    /// of their streams would be invalid.
    pub fn heal(&self) {
        self.switch(Mode::Pass);
    }

    /// Resets the marked connections, and every connection that becomes marked later.
    pub fn cut_marked(&self) {
        self.switch_marked(Mode::Cut);
    }

    /// Like [`black_hole`](Self::black_hole), for the marked connections.
    pub fn black_hole_marked(&self) {
        self.switch_marked(Mode::Swallow);
    }

    /// Like [`delay`](Self::delay), for the marked connections.
    pub fn delay_marked(&self, delay: Duration) {
        self.switch_marked(Mode::Delay(delay));
    }

    /// Blackholes the connections that are open now for good: later modes do not apply to them. New connections are not
    /// affected.
    pub fn strand(&self) {
        self.execute(Command::Strand);
    }

    /// Directs new connections to another address; open ones stay where they are.
    pub fn redirect_to(&self, upstream: SocketAddr) {
        self.execute(Command::Redirect(upstream));
    }

    fn switch(&self, mode: Mode) {
        self.execute(Command::Switch(ModeSetting {
            mode,
            marked_only: false,
        }));
    }

    fn switch_marked(&self, mode: Mode) {
        self.execute(Command::Switch(ModeSetting {
            mode,
            marked_only: true,
        }));
    }

    fn execute(&self, command: Command) {
        let (done, completion) = blocking::channel();
        let sent = self.commands.as_ref().map(|c| c.send((command, done)));
        assert!(matches!(sent, Some(Ok(()))), "the proxy runs");
        completion.recv().expect("the proxy executes the command");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // The panic has been printed; another one here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// A connection through the proxy.
struct Connection {
    task: task::JoinHandle<()>,
    flags: Arc<Flags>,
}

/// State of a connection.
#[derive(Debug, Default)]
struct Flags {
    /// Data was discarded.
    lossy: AtomicBool,
    /// The client has sent the marking text.
    marked: AtomicBool,
}

/// The proxy in its thread. It is single-threaded, so no data passes between a change of mode and its confirmation.
struct Running {
    upstream: SocketAddr,
    patterns: Patterns,
    address: SocketAddr,
    /// Bound but not listening: keeps the port while the listener is closed, so that new connections are refused.
    _port: TcpSocket,
    listener: Option<TcpListener>,
    setting: watch::Sender<ModeSetting>,
    connections: Vec<Connection>,
    /// Mode channels of stranded connections; dropping one ends its connections.
    stranded: Vec<watch::Sender<ModeSetting>>,
}

impl Running {
    fn new(upstream: SocketAddr, patterns: Patterns) -> Self {
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = port.local_addr().expect("a bound socket has an address");
        let all_passes = ModeSetting {
            mode: Mode::Pass,
            marked_only: false,
        };
        Self {
            upstream,
            patterns,
            address,
            _port: port,
            listener: Some(listen(address)),
            setting: watch::Sender::new(all_passes),
            connections: Vec::new(),
            stranded: Vec::new(),
        }
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<(Command, blocking::Sender<()>)>) {
        loop {
            tokio::select! {
                command = commands.recv() => {
                    let Some((command, done)) = command else { return };
                    match command {
                        Command::Switch(setting) => self.switch(setting).await,
                        Command::Redirect(upstream) => self.upstream = upstream,
                        Command::Strand => self.strand(),
                    }
                    // The test may have ended meanwhile.
                    let _ = done.send(());
                }
                client = accept(self.listener.as_ref()) => self.connect(client),
            }
        }
    }

    fn connect(&mut self, client: tokio::net::TcpStream) {
        self.connections.retain(|c| !c.task.is_finished());
        let flags = Arc::new(Flags::default());
        let pipe = Pipe {
            setting: self.setting.subscribe(),
            patterns: self.patterns,
            flags: Arc::clone(&flags),
        };
        self.connections.push(Connection {
            task: task::spawn(pipe.run(client, self.upstream)),
            flags,
        });
    }

    fn strand(&mut self) {
        let fresh = watch::Sender::new(*self.setting.borrow());
        let setting = std::mem::replace(&mut self.setting, fresh);
        setting.send_replace(ModeSetting {
            mode: Mode::Swallow,
            marked_only: false,
        });
        self.stranded.push(setting);
        self.connections.clear();
    }

    async fn switch(&mut self, setting: ModeSetting) {
        self.setting.send_replace(setting);
        for Connection { task, flags } in &mut self.connections {
            let mode = setting.of(flags.marked.load(Ordering::Relaxed));
            // If everything is discarded, earlier losses do not matter.
            let has_lost_data = mode != Mode::Swallow && flags.lossy.load(Ordering::Relaxed);
            if mode == Mode::Cut || has_lost_data {
                task.abort();
                let _ = task.await;
            }
        }
        self.connections.retain(|c| !c.task.is_finished());
        if setting.of(false) == Mode::Cut {
            self.listener = None;
        } else if self.listener.is_none() {
            self.listener = Some(listen(self.address));
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> tokio::net::TcpStream {
    loop {
        match listener {
            None => std::future::pending().await,
            Some(listener) => {
                // A client that disconnected again before it was accepted is skipped.
                if let Ok((client, _)) = listener.accept().await {
                    return client;
                }
            }
        }
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("the port can be shared");
    socket
        .bind(address)
        .expect("a port of the loopback interface is free");
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    bind(address).listen(BACKLOG).expect("the proxy listens")
}
