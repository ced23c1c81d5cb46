//! A TCP proxy whose edge can be cut, swallowed and slowed down while clients use it.

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

const BACKLOG: u32 = 128;

/// What happens on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Everything passes.
    Pass,
    /// Every chunk passes so much later.
    Delay(Duration),
    /// There is no connection.
    Cut,
    /// Nothing passes, in either direction.
    Swallow,
    /// What upstream says does not pass.
    SwallowReplies,
    /// What clients say does not pass.
    SwallowRequests,
}

/// A switch, and who waits until it is thrown.
type Command = (Mode, blocking::Sender<()>);

/// A proxy on a port of 127.0.0.1, in a thread of its own: it goes on while the test's runtime is busy or its clock stands.
///
/// A switch acts on open and on new connections, and has acted when its method returns.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of this address; everything passes.
    pub fn start(upstream: SocketAddr) -> Self {
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
                    let proxy = Running::new(upstream);
                    started
                        .send(proxy.address)
                        .expect("who started the proxy waits for it");
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

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resets every connection, and refuses new ones.
    pub fn cut(&self) {
        self.switch(Mode::Cut);
    }

    /// Accepts, and swallows what comes from either side, also the end of a connection.
    pub fn black_hole(&self) {
        self.switch(Mode::Swallow);
    }

    /// Requests reach upstream and are carried out; nobody hears the replies.
    pub fn lose_replies(&self) {
        self.switch(Mode::SwallowReplies);
    }

    /// Requests do not reach upstream; what it says by itself is heard.
    pub fn lose_requests(&self) {
        self.switch(Mode::SwallowRequests);
    }

    /// Every chunk, in both directions, arrives so much later, in order.
    pub fn delay(&self, delay: Duration) {
        self.switch(Mode::Delay(delay));
    }

    /// Everything passes again, what was delayed at once. Connections that lost bytes are reset: the rest of their streams
    /// would not make sense.
    pub fn heal(&self) {
        self.switch(Mode::Pass);
    }

    fn switch(&self, mode: Mode) {
        let (done, wait) = blocking::channel();
        let sent = self.commands.as_ref().map(|c| c.send((mode, done)));
        assert!(matches!(sent, Some(Ok(()))), "the proxy runs");
        wait.recv().expect("the proxy throws its switch");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed, and one more here would hide the test's own.
            let _ = thread.join();
        }
    }
}

/// A connection, and whether it has lost bytes.
struct Connection {
    task: task::JoinHandle<()>,
    lossy: Arc<AtomicBool>,
}

/// The proxy in its thread. Everything is on this one thread, so nothing passes between a switch and its acknowledgement.
struct Running {
    upstream: SocketAddr,
    address: SocketAddr,
    /// Bound, and never listening: keeps the port while the listener is closed, so that new connections are refused.
    _port: TcpSocket,
    listener: Option<TcpListener>,
    mode: watch::Sender<Mode>,
    connections: Vec<Connection>,
}

impl Running {
    fn new(upstream: SocketAddr) -> Self {
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = port.local_addr().expect("a bound socket has an address");
        Self {
            upstream,
            address,
            _port: port,
            listener: Some(listen(address)),
            mode: watch::Sender::new(Mode::Pass),
            connections: Vec::new(),
        }
    }

    async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => {
                    let Some((mode, done)) = command else { return };
                    self.switch(mode).await;
                    // The test may have ended meanwhile.
                    let _ = done.send(());
                }
                client = accept(self.listener.as_ref()) => self.connect(client),
            }
        }
    }

    fn connect(&mut self, client: tokio::net::TcpStream) {
        self.connections.retain(|c| !c.task.is_finished());
        let lossy = Arc::new(AtomicBool::new(false));
        let pipe = pipe::run(
            client,
            self.upstream,
            self.mode.subscribe(),
            Arc::clone(&lossy),
        );
        self.connections.push(Connection {
            task: task::spawn(pipe),
            lossy,
        });
    }

    async fn switch(&mut self, mode: Mode) {
        self.mode.send_replace(mode);
        for Connection { task, lossy } in &mut self.connections {
            // Where everything is swallowed, it does not matter what was before.
            let is_spoiled = mode != Mode::Swallow && lossy.load(Ordering::Relaxed);
            if mode == Mode::Cut || is_spoiled {
                task.abort();
                let _ = task.await;
            }
        }
        self.connections.retain(|c| !c.task.is_finished());
        if mode == Mode::Cut {
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
                // One who has gone again is no client.
                if let Ok((client, _)) = listener.accept().await {
                    return client;
                }
            }
        }
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .set_reuseaddr(true)
        .expect("a socket can share its port");
    socket.bind(address).expect("a port of the loopback");
    socket
}

fn listen(address: SocketAddr) -> TcpListener {
    bind(address).listen(BACKLOG).expect("the proxy listens")
}
