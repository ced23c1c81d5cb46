//! `parlance demo`: the cache at work, seen as a client sees it.

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

/// Says in each answer where it was found.
const SOURCE: &str = "x-parlance-cache";
/// A value is put into the cache behind the answer that brought it, and into the process at the second or third read.
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(10);
/// So many hits are timed; the middle one counts.
const TIMED: usize = 9;

/// Where an answer was found, and how long it took from here and back.
struct Look {
    source: String,
    took: Duration,
}

impl Look {
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
    let mut show = Show {
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
    let played = play(&sent.id, &sent.conversation_id, service, &mut show).await;
    let request = service.call(DeleteConversationRequest {
        id: sent.conversation_id,
        etag: String::new(),
    });
    service.conversations().delete_conversation(request).await?;
    played
}

async fn play(
    message: &str,
    conversation: &str,
    service: &Service,
    show: &mut Show<'_>,
) -> Result<(), Failure> {
    let read = async || {
        let request = service.call(GetMessageRequest {
            id: message.to_owned(),
            ..GetMessageRequest::default()
        });
        let began = Instant::now();
        let reply = service.messages().get_message(request).await?;
        Ok(Look::of(&reply, began))
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
    act(read, ("its status becomes READ", change), show).await?;

    let read = async || {
        let request = service.call(GetConversationRequest {
            id: conversation.to_owned(),
            ..GetConversationRequest::default()
        });
        let began = Instant::now();
        let reply = service.conversations().get_conversation(request).await?;
        Ok(Look::of(&reply, began))
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
    act(read, ("it gets a title", change), show).await?;
    play_scoped(conversation, service, show).await
}

/// What any write of the owner ends.
async fn play_scoped(
    conversation: &str,
    service: &Service,
    show: &mut Show<'_>,
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
        Ok(Look::of(&reply, began))
    };
    show.subject("statistics", "");
    act(read, ("a message is sent", send), show).await?;

    let read = async || {
        let request = service.call(SearchMessagesRequest {
            query: "demo".to_owned(),
            conversation_id: conversation.to_owned(),
            ..SearchMessagesRequest::default()
        });
        let began = Instant::now();
        let reply = service.messages().search_messages(request).await?;
        Ok(Look::of(&reply, began))
    };
    show.subject("search", "demo");
    act(read, ("a message is sent", send), show).await
}

/// Miss, hit, change, miss, hit.
async fn act(
    read: impl AsyncFn() -> Result<Look, Failure>,
    (what, change): (&str, impl AsyncFn() -> Result<(), Failure>),
    show: &mut Show<'_>,
) -> Result<(), Failure> {
    let miss = read().await?;
    show.look("first read", &miss, None);
    let hit = until_hit(&read).await?;
    show.look("second read", &hit, Some(&miss));
    change().await?;
    show.change(what);
    let miss = read().await?;
    show.look("next read", &miss, None);
    let hit = until_hit(&read).await?;
    show.look("and again", &hit, Some(&miss));
    Ok(())
}

/// Reads until the cache answers, and then some more: one answer alone may have been held up by anything.
async fn until_hit(read: impl AsyncFn() -> Result<Look, Failure>) -> Result<Look, Failure> {
    for _ in 0..PATIENCE {
        if read().await?.is_hit() {
            let mut hits = Vec::with_capacity(TIMED);
            for _ in 0..TIMED {
                hits.push(read().await?);
            }
            hits.sort_by_key(|look| look.took);
            return Ok(hits.swap_remove(TIMED / 2));
        }
        sleep(PAUSE).await;
    }
    Err(Failure::NotCached)
}

/// Lines for people, or for programs.
struct Show<'a> {
    output: &'a mut Output,
    json: bool,
}

impl Show<'_> {
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
            let why = &info.gate_reason;
            self.output
                .line(format!("              It is not used now: {why}"));
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

    fn look(&mut self, which: &str, look: &Look, miss: Option<&Look>) {
        let Look { source, took } = look;
        if self.json {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let line = serde_json::json!({"step": which, "source": source, "microseconds": micros});
            self.output.line(line);
            return;
        }
        let milliseconds = took.as_secs_f64() * 1e3;
        let verdict = match miss {
            _ if !look.is_hit() => "miss".to_owned(),
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
                .line(format!("  {what:<12}, so what is cached of it goes"));
        }
    }
}
