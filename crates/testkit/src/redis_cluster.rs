//! Throw-away Redis Cluster.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::redis::Redis;
use crate::wait::eventually;

const SLOTS: usize = 16384;
const FORMED: Duration = Duration::from_mins(3);
/// Time in ms after which a node that does not respond is considered failed, and a handshake is given up: longer than a
/// busy machine delays a node. A test that needs a failover triggers it explicitly.
const NODE_TIMEOUT: &str = "15000";

/// Masters that share the slots, and added replicas.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three masters.
    pub async fn start() -> Self {
        let nodes: Vec<Redis> = (0..3).map(|_| start_node()).collect();
        for (index, node) in nodes.iter().enumerate() {
            let (first, end) = (
                index * SLOTS / nodes.len(),
                (index + 1) * SLOTS / nodes.len(),
            );
            let last = end - 1;
            // Distinct epochs from the start, so that the nodes need not resolve a conflict first.
            ask(node, &format!("CLUSTER SET-CONFIG-EPOCH {}", index + 1));
            ask(node, &format!("CLUSTER ADDSLOTSRANGE {first} {last}"));
        }
        let cluster = Self { nodes };
        for node in &cluster.nodes[1..] {
            meet(node, &cluster.nodes[0]);
        }
        cluster.formed().await;
        cluster
    }

    /// Returns the nodes: the masters, then the replicas in the order in which they were added.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Returns the URLs of the nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes
            .iter()
            .map(|node| node.url().to_owned())
            .collect()
    }

    /// Sends a command of words without spaces to a node and returns the reply.
    pub fn ask(&self, node: usize, command: &str) -> String {
        ask(&self.nodes[node], command)
    }

    /// Returns the cluster id of a node.
    pub fn id(&self, node: usize) -> String {
        self.ask(node, "CLUSTER MYID")
    }

    /// Returns the port of a node.
    pub fn port(&self, node: usize) -> u16 {
        port(&self.nodes[node])
    }

    /// Adds a replica of a node, and returns its index once it has its master's data.
    pub async fn add_replica(&mut self, of: usize) -> usize {
        let node = start_node();
        meet(&node, &self.nodes[0]);
        self.nodes.push(node);
        self.formed().await;
        let (index, master) = (self.nodes.len() - 1, self.id(of));
        eventually(FORMED, async || {
            let answer = self.ask(index, &format!("CLUSTER REPLICATE {master}"));
            (answer == "OK").then_some(())
        })
        .await;
        eventually(FORMED, async || {
            let info = self.ask(index, "INFO replication");
            info.contains("master_link_status:up").then_some(())
        })
        .await;
        index
    }

    /// Waits until all nodes know each other and all slots are served.
    pub async fn formed(&self) {
        let nodes = format!("cluster_known_nodes:{}\r\n", self.nodes.len());
        // `cluster_state` alone is ok as soon as a node knows its own slots.
        let slots = format!("cluster_slots_ok:{SLOTS}\r\n");
        eventually(FORMED, async || {
            let formed = |node| {
                let info = ask(node, "CLUSTER INFO");
                info.contains("cluster_state:ok") && info.contains(&nodes) && info.contains(&slots)
            };
            self.nodes.iter().all(formed).then_some(())
        })
        .await;
    }
}

fn start_node() -> Redis {
    Redis::start_with([
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        NODE_TIMEOUT,
        // A failed node makes its own slots unavailable, and no others.
        "--cluster-require-full-coverage",
        "no",
    ])
}

fn meet(node: &Redis, other: &Redis) {
    ask(node, &format!("CLUSTER MEET 127.0.0.1 {}", port(other)));
}

fn port(node: &Redis) -> u16 {
    let digits = node.url().rsplit(':').next().unwrap_or_default();
    let port = digits.trim_end_matches('/').parse();
    port.expect("the URL of a Redis ends with its port")
}

/// Sends one command on a new connection; returns the text of errors and nil too.
fn ask(node: &Redis, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port(node))).expect("the node listens");
    let words: Vec<&str> = command.split(' ').collect();
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        write!(request, "${}\r\n{word}\r\n", word.len()).expect("text can be written to text");
    }
    stream
        .write_all(request.as_bytes())
        .expect("the node reads");
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).expect("the node answers");
    let length = line
        .strip_prefix('$')
        .and_then(|n| n.trim_end().parse::<usize>().ok());
    match length {
        None => line.trim_end().trim_start_matches('+').to_owned(),
        Some(length) => {
            let mut text = vec![0; length];
            reader.read_exact(&mut text).expect("the whole answer");
            String::from_utf8_lossy(&text).into_owned()
        }
    }
}
