//! The writers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parlance_proto::v1::{self, MessageStatus};
use parlance_testkit::history::{Change, Element};
use parlance_tests::{Rpc, make};

use super::chat::{self, Kind};
use super::{Client, MESSAGES, number};

impl Client {
    pub(super) async fn write_on(mut self) {
        let mut edits = 0;
        while self.think().await {
            let chat = self.chat();
            self.shared.latest.store(chat, Ordering::Relaxed);
            let began = Instant::now();
            edits += 1;
            let wrote = match self.dice.below(12) {
                0..3 => self.send(chat).await,
                3..7 => self.edit(chat, edits).await,
                7..9 => self.write_by_kind(chat).await,
                9 => self.rename(chat, edits).await,
                10 => self.mark_as_read(chat).await,
                _ => self.mark_as_unread(chat).await,
            };
            if wrote.is_some() {
                self.shared.counts.wrote(began.elapsed());
                self.shared.writes[self.instance].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The write that only conversations of this kind get.
    async fn write_by_kind(&mut self, chat: usize) -> Option<()> {
        match self.shared.chats[chat].kind.clone() {
            Kind::Reported => self.report(chat).await,
            Kind::Texts(pair) => self.put(chat, make::inbound_sms(&pair, "an answer")).await,
            Kind::Shrinking => self.delete(chat).await,
        }
    }

    async fn send(&mut self, chat: usize) -> Option<()> {
        let request = make::reply(&self.shared.chats[chat].ids.id, "and more");
        self.put(chat, request).await
    }

    async fn put<R>(&mut self, chat: usize, request: R) -> Option<()>
    where
        R: Rpc<Reply = v1::Message>,
    {
        let shared = Arc::clone(&self.shared);
        let chat = &shared.chats[chat];
        let begun = chat.begin_send(&mut self.log, &shared.next_key);
        let message = self.call(request).await?;
        chat.sent(&mut self.log, &begun, &message);
        Some(())
    }

    async fn delete(&mut self, chat: usize) -> Option<()> {
        let which = self.dice.index(MESSAGES);
        let shared = Arc::clone(&self.shared);
        let chat = &shared.chats[chat];
        let hot = chat.begin_delete(which)?;
        let deletion = self.log.begin_write(hot.deletion);
        // The deletion also writes the conversation.
        let _ = self.log.begin_write(chat.conversation);
        let change = self
            .log
            .begin_change(chat.list, Change::Delete(hot.sequence));
        self.call(make::delete_message(&hot.id)).await?;
        self.log.acknowledged(&deletion, chat::DELETED);
        let left = Element {
            sequence: hot.sequence,
            version: 0,
        };
        self.log.changed(&change, left);
        Some(())
    }

    /// Writes a new text each time, so that each edit is a change.
    async fn edit(&mut self, chat: usize, number: u32) -> Option<()> {
        let text = format!("{}-{number}", self.instance);
        let request = |id: &str| {
            make::edit_message(id, &["metadata"], |message| {
                message.metadata = Some(make::json("counter", &text));
            })
        };
        self.change_message(chat, request).await
    }

    async fn report(&mut self, chat: usize) -> Option<()> {
        self.change_message(chat, |id| make::report(id, MessageStatus::Read))
            .await
    }

    async fn change_message<R>(&mut self, chat: usize, request: impl Fn(&str) -> R) -> Option<()>
    where
        R: Rpc<Reply = v1::Message>,
    {
        let hot = self.hot(chat)?;
        let list = self.shared.chats[chat].list;
        let write = self.log.begin_write(hot.key);
        let change = self.log.begin_change(list, Change::Edit(hot.sequence));
        let message = self.call_about(&hot, request(&hot.id)).await?;
        self.log.acknowledged(&write, number(message.version));
        self.log.changed(&change, chat::element(&message));
        Some(())
    }

    async fn rename(&mut self, chat: usize, number: u32) -> Option<()> {
        let title = format!("{}-{number}", self.instance);
        let id = self.shared.chats[chat].ids.id.clone();
        let request = make::edit(&id, &["title"], |conversation| conversation.title = title);
        self.change_conversation(chat, request).await
    }

    async fn mark_as_read(&mut self, chat: usize) -> Option<()> {
        let request = v1::MarkAsReadRequest {
            id: self.shared.chats[chat].ids.id.clone(),
            ..Default::default()
        };
        self.change_conversation(chat, request).await
    }

    async fn mark_as_unread(&mut self, chat: usize) -> Option<()> {
        let request = v1::MarkAsUnreadRequest {
            id: self.shared.chats[chat].ids.id.clone(),
        };
        self.change_conversation(chat, request).await
    }

    async fn change_conversation<R>(&mut self, chat: usize, request: R) -> Option<()>
    where
        R: Rpc<Reply = v1::Conversation>,
    {
        let write = self.log.begin_write(self.shared.chats[chat].conversation);
        let conversation = self.call(request).await?;
        let version = number(conversation.version);
        self.log.acknowledged(&write, version);
        Some(())
    }
}
