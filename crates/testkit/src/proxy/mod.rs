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

use pipe::Pipe;

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

/// What a proxy looks for in what clients say.
#[derive(Debug, Clone, Copy, Default)]
struct Habits {
    /// Who says this is marked.
    marks: Option<&'static str>,
    /// This becomes that.
    rewrites: Option<(&'static str, &'static str)>,
}

impl Habits {
    fn marking(words: &'static str) -> Self {
        Self {
            marks: Some(words),
            rewrites: None,
        }
    }

    fn rewriting(these: &'static str, others: &'static str) -> Self {
        Self {
            marks: None,
            rewrites: Some((these, others)),
        }
    }
}

/// What happens, and to which connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    mode: Mode,
    /// To those that have said the words; everything passes on the others.
    marked_only: bool,
}

impl Order {
    fn of(self, marked: bool) -> Mode {
        if self.marked_only && !marked {
            Mode::Pass
        } else {
            self.mode
        }
    }
}

/// What a proxy is told.
#[derive(Debug, Clone, Copy)]
enum Command {
    Switch(Order),
    /// New connections lead there.
    LeadTo(SocketAddr),
    /// Open connections are lost for good.
    Strand,
}

/// With who waits until it is done.
type Commands = mpsc::UnboundedSender<(Command, blocking::Sender<()>)>;

/// A proxy on a port of 127.0.0.1, in a thread of its own: it goes on while the test's runtime is busy or its clock stands.
///
/// A switch acts on open and on new connections, and has acted when its method returns.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    commands: Option<Commands>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of this address; everything passes.
    pub fn start(upstream: SocketAddr) -> Self {
        Self::launch(upstream, Habits::default())
    }

    /// The same, which marks the connections whose clients say these words.
    pub fn start_marking(upstream: SocketAddr, words: &'static str) -> Self {
        Self::launch(upstream, Habits::marking(words))
    }

    /// The same, which has clients say other words than those. The others must be as long, and only a chunk that holds them whole
    /// is changed.
    pub fn start_rewriting(
        upstream: SocketAddr,
        these: &'static str,
        others: &'static str,
    ) -> Self {
        assert_eq!(these.len(), others.len(), "what follows would move");
        Self::launch(upstream, Habits::rewriting(these, others))
    }

    fn launch(upstream: SocketAddr, habits: Habits) -> Self {
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
                    let proxy = Running::new(upstream, habits);
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

    /// Resets the marked connections, and whoever says the words from now on.
    pub fn cut_marked(&self) {
        self.switch_marked(Mode::Cut);
    }

    /// [`black_hole`](Self::black_hole) for the marked connections.
    pub fn black_hole_marked(&self) {
        self.switch_marked(Mode::Swallow);
    }

    /// [`delay`](Self::delay) for the marked connections.
    pub fn delay_marked(&self, delay: Duration) {
        self.switch_marked(Mode::Delay(delay));
    }

    /// Swallows everything on the connections that are open now, for ever: no later switch acts on them. New ones are as before.
    pub fn strand(&self) {
        self.tell(Command::Strand);
    }

    /// New connections lead to another address; those that are open stay where they are.
    pub fn redirect_to(&self, upstream: SocketAddr) {
        self.tell(Command::LeadTo(upstream));
    }

    fn switch(&self, mode: Mode) {
        self.tell(Command::Switch(Order {
            mode,
            marked_only: false,
        }));
    }

    fn switch_marked(&self, mode: Mode) {
        self.tell(Command::Switch(Order {
            mode,
            marked_only: true,
        }));
    }

    fn tell(&self, command: Command) {
        let (done, wait) = blocking::channel();
        let sent = self.commands.as_ref().map(|c| c.send((command, done)));
        assert!(matches!(sent, Some(Ok(()))), "the proxy runs");
        wait.recv().expect("the proxy does as it is told");
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

/// A connection through the proxy.
struct Connection {
    task: task::JoinHandle<()>,
    flags: Arc<Flags>,
}

/// What became of a connection.
#[derive(Debug, Default)]
struct Flags {
    /// It has lost bytes.
    lossy: AtomicBool,
    /// Its client has said the words.
    marked: AtomicBool,
}

/// The proxy in its thread. Everything is on this one thread, so nothing passes between a switch and its acknowledgement.
struct Running {
    upstream: SocketAddr,
    habits: Habits,
    address: SocketAddr,
    /// Bound, and never listening: keeps the port while the listener is closed, so that new connections are refused.
    _port: TcpSocket,
    listener: Option<TcpListener>,
    order: watch::Sender<Order>,
    connections: Vec<Connection>,
    /// The orders of stranded connections, which end when these do.
    stranded: Vec<watch::Sender<Order>>,
}

impl Running {
    fn new(upstream: SocketAddr, habits: Habits) -> Self {
        let port = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let address = port.local_addr().expect("a bound socket has an address");
        let all_passes = Order {
            mode: Mode::Pass,
            marked_only: false,
        };
        Self {
            upstream,
            habits,
            address,
            _port: port,
            listener: Some(listen(address)),
            order: watch::Sender::new(all_passes),
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
                        Command::Switch(order) => self.switch(order).await,
                        Command::LeadTo(upstream) => self.upstream = upstream,
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
            order: self.order.subscribe(),
            habits: self.habits,
            flags: Arc::clone(&flags),
        };
        self.connections.push(Connection {
            task: task::spawn(pipe.run(client, self.upstream)),
            flags,
        });
    }

    fn strand(&mut self) {
        let others = watch::Sender::new(*self.order.borrow());
        let order = std::mem::replace(&mut self.order, others);
        order.send_replace(Order {
            mode: Mode::Swallow,
            marked_only: false,
        });
        self.stranded.push(order);
        self.connections.clear();
    }

    async fn switch(&mut self, order: Order) {
        self.order.send_replace(order);
        for Connection { task, flags } in &mut self.connections {
            let mode = order.of(flags.marked.load(Ordering::Relaxed));
            // Where everything is swallowed, it does not matter what was before.
            let is_spoiled = mode != Mode::Swallow && flags.lossy.load(Ordering::Relaxed);
            if mode == Mode::Cut || is_spoiled {
                task.abort();
                let _ = task.await;
            }
        }
        self.connections.retain(|c| !c.task.is_finished());
        if order.of(false) == Mode::Cut {
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
