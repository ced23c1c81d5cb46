//! `parlance demo`: demonstration of the cache from the view of a client.

use std::time::Duration;

use parlance_proto::v1::{
    Channel, Conversation, DeleteConversationRequest, GetCacheInfoRequest, GetCacheInfoResponse,
    GetConversationRequest, GetMessageRequest, GetStatsRequest, MessageStatus, Role,
    SearchMessagesRequest, SendMessageRequest, UpdateConversationRequest,
    UpdateMessageStatusRequest,
};
use tokio::time::{Instant, sleep};
use tonic::Response;

use super::service::Service;
use crate::arguments::Demo;
use crate::failure::Failure;
use crate::output::Output;
use crate::show::Screen;

/// Metadata of a reply that names its source.
const SOURCE: &str = "x-parlance-cache";
/// Maximum number of reads until a hit. A value is stored in the cache after its first reply, and in the in-process
/// cache at the second or third read.
const MAX_READS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);
/// Number of hits that are timed; their median is shown.
const TIMED_HITS: usize = 9;

/// Source of a reply, and the round-trip time.
struct TimedRead {
    source: String,
    took: Duration,
}

impl TimedRead {
    fn of<T>(reply: &Response<T>, began: Instant) -> Self {
        let source = reply.metadata().get(SOURCE);
        let source = source.and_then(|source| source.to_str().ok());
        Self {
            source: source.unwrap_or("database").to_owned(),
            took: began.elapsed(),
        }
    }

    fn is_hit(&self) -> bool {
        self.source != "database"
    }
}

pub(super) async fn run(
    arguments: &Demo,
    service: &Service,
    screen: &mut Screen<'_>,
) -> Result<(), Failure> {
    let mut show = Printer {
        output: screen.output(),
        json: arguments.caller.json,
    };
    let request = service.call(GetCacheInfoRequest {});
    let info = service.cache().get_cache_info(request).await?.into_inner();
    if info.backend == "off" {
        return Err(Failure::CacheOff(info.backend_note));
    }
    show.info(&info);
    let request = service.call(SendMessageRequest {
        channel: Channel::Chat.into(),
        role: Role::Assistant.into(),
        body: "Hello from the demo.".to_owned(),
        ..SendMessageRequest::default()
    });
    let sent = service.messages().send_message(request).await?.into_inner();
    let result = run_steps(&sent.id, &sent.conversation_id, service, &mut show).await;
    let request = service.call(DeleteConversationRequest {
        id: sent.conversation_id,
        etag: String::new(),
    });
    service.conversations().delete_conversation(request).await?;
    result
}

async fn run_steps(
    message: &str,
    conversation: &str,
    service: &Service,
    show: &mut Printer<'_>,
) -> Result<(), Failure> {
    let read = async || {
        let request = service.call(GetMessageRequest {
            id: message.to_owned(),
            ..GetMessageRequest::default()
        });
        let began = Instant::now();
        let reply = service.messages().get_message(request).await?;
        Ok(TimedRead::of(&reply, began))
    };
    let change = async || {
        let request = service.call(UpdateMessageStatusRequest {
            id: message.to_owned(),
            status: MessageStatus::Read.into(),
            ..UpdateMessageStatusRequest::default()
        });
        service.messages().update_message_status(request).await?;
        Ok(())
    };
    show.subject("message", message);
    demonstrate(read, ("its status becomes READ", change), show).await?;

    let read = async || {
        let request = service.call(GetConversationRequest {
            id: conversation.to_owned(),
            ..GetConversationRequest::default()
        });
        let began = Instant::now();
        let reply = service.conversations().get_conversation(request).await?;
        Ok(TimedRead::of(&reply, began))
    };
    let change = async || {
        let request = service.call(UpdateConversationRequest {
            conversation: Some(Conversation {
                id: conversation.to_owned(),
                title: "Demo".to_owned(),
                ..Conversation::default()
            }),
            update_mask: None,
        });
        service.conversations().update_conversation(request).await?;
        Ok(())
    };
    show.subject("conversation", conversation);
    demonstrate(read, ("it gets a title", change), show).await?;
    run_scoped_steps(conversation, service, show).await
}

/// Statistics and searches, which every write of the owner invalidates.
async fn run_scoped_steps(
    conversation: &str,
    service: &Service,
    show: &mut Printer<'_>,
) -> Result<(), Failure> {
    let send = async || {
        let request = service.call(SendMessageRequest {
            conversation_id: conversation.to_owned(),
            role: Role::Assistant.into(),
            body: "One more from the demo.".to_owned(),
            ..SendMessageRequest::default()
        });
        service.messages().send_message(request).await?;
        Ok(())
    };
    let read = async || {
        let request = service.call(GetStatsRequest::default());
        let began = Instant::now();
        let reply = service.conversations().get_stats(request).await?;
        Ok(TimedRead::of(&reply, began))
    };
    show.subject("statistics", "");
    demonstrate(read, ("a message is sent", send), show).await?;

    let read = async || {
        let request = service.call(SearchMessagesRequest {
            query: "demo".to_owned(),
            conversation_id: conversation.to_owned(),
            ..SearchMessagesRequest::default()
        });
        let began = Instant::now();
        let reply = service.messages().search_messages(request).await?;
        Ok(TimedRead::of(&reply, began))
    };
    show.subject("search", "demo");
    demonstrate(read, ("a message is sent", send), show).await
}

/// Shows a miss, a hit, a change, a miss and a hit.
async fn demonstrate(
    read: impl AsyncFn() -> Result<TimedRead, Failure>,
    (what, change): (&str, impl AsyncFn() -> Result<(), Failure>),
    show: &mut Printer<'_>,
) -> Result<(), Failure> {
    let miss = read().await?;
    show.timed_read("first read", &miss, None);
    let hit = until_hit(&read).await?;
    show.timed_read("second read", &hit, Some(&miss));
    change().await?;
    show.change(what);
    let miss = read().await?;
    show.timed_read("next read", &miss, None);
    let hit = until_hit(&read).await?;
    show.timed_read("and again", &hit, Some(&miss));
    Ok(())
}

/// Reads until the cache answers, then takes the median of several hits: a single one may be delayed for other reasons.
async fn until_hit(
    read: impl AsyncFn() -> Result<TimedRead, Failure>,
) -> Result<TimedRead, Failure> {
    for _ in 0..MAX_READS {
        if read().await?.is_hit() {
            let mut hits = Vec::with_capacity(TIMED_HITS);
            for _ in 0..TIMED_HITS {
                hits.push(read().await?);
            }
            hits.sort_by_key(|read| read.took);
            return Ok(hits.swap_remove(TIMED_HITS / 2));
        }
        sleep(PAUSE).await;
    }
    Err(Failure::NotCached)
}

/// Printer of the steps, as text or JSON.
struct Printer<'a> {
    output: &'a mut Output,
    json: bool,
}

impl Printer<'_> {
    fn info(&mut self, info: &GetCacheInfoResponse) {
        let (backend, gate, guarantee) = (&info.backend, &info.gate, &info.guarantee);
        if self.json {
            let line =
                serde_json::json!({"backend": backend, "gate": gate, "guarantee": guarantee});
            self.output.line(line);
            return;
        }
        self.output.line(format!("cache         {backend}"));
        self.output.line(format!("              {guarantee}"));
        if gate == "shut" {
            let reason = &info.gate_reason;
            self.output
                .line(format!("              The cache is not used now: {reason}"));
        }
    }

    fn subject(&mut self, kind: &str, id: &str) {
        if self.json {
            self.output
                .line(serde_json::json!({"kind": kind, "id": id}));
        } else {
            self.output.line(format!("\n{kind:<14}{id}"));
        }
    }

    fn timed_read(&mut self, which: &str, read: &TimedRead, miss: Option<&TimedRead>) {
        let TimedRead { source, took } = read;
        if self.json {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let line = serde_json::json!({"step": which, "source": source, "microseconds": micros});
            self.output.line(line);
            return;
        }
        let milliseconds = took.as_secs_f64() * 1e3;
        let verdict = match miss {
            _ if !read.is_hit() => "miss".to_owned(),
            Some(miss) => {
                let times = miss.took.as_secs_f64() / took.as_secs_f64().max(1e-9);
                format!("hit, {times:.1} times as fast")
            }
            None => "hit".to_owned(),
        };
        self.output.line(format!(
            "  {which:<12}{source:<10}{milliseconds:>8.2} ms   {verdict}"
        ));
    }

    fn change(&mut self, what: &str) {
        if self.json {
            self.output.line(serde_json::json!({"step": what}));
        } else {
            self.output
                .line(format!("  {what:<12}, which invalidates the cached value"));
        }
    }
}
