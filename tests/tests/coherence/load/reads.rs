//! The readers.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use parlance_proto::v1;
use parlance_testkit::history::Key;
use parlance_tests::make;

use super::chat::{self, Chat, Kind};
use super::{CANARY, Client, MESSAGES, NEWEST, Readers, number};

impl Client {
    /// With equal probability the chat that was written last, or a random one.
    fn chat_to_read(&mut self) -> usize {
        if self.dice.below(2) == 0 {
            self.shared.latest.load(Ordering::Relaxed)
        } else {
            self.chat()
        }
    }

    pub(super) async fn read_on(mut self, readers: Readers) {
        let mut memo: HashMap<Key, u64> = HashMap::new();
        while self.think().await {
            let chat = self.chat_to_read();
            let read = match self.dice.below(8) {
                0..2 => self.read_conversation(chat).await,
                2..4 => self.read_list(chat).await,
                4 => self.read_deleted(chat).await,
                _ if readers == Readers::Memoize => self.read_memoized(chat, &mut memo).await,
                _ => self.read_message(chat).await.map(|_| ()),
            };
            let answered = usize::from(read.is_some());
            self.shared.reads[self.instance].fetch_add(answered, Ordering::Relaxed);
        }
    }

    async fn read_message(&mut self, chat: usize) -> Option<(Key, u64)> {
        let hot = self.hot(chat)?;
        let begun = self.log.begin_read();
        let message = self.call_about(&hot, make::get_message(&hot.id)).await?;
        self.check_owner(&message);
        let version = number(message.version);
        self.log.read(begun, hot.key, version);
        Some((hot.key, version))
    }

    /// Reads a message that may be deleted, and must not reappear; in a chat without deletions, another message.
    async fn read_deleted(&mut self, chat: usize) -> Option<()> {
        let which = self.dice.index(MESSAGES);
        let Some(hot) = self.shared.chats[chat].deleted(which) else {
            return self.read_message(chat).await.map(|_| ());
        };
        let begun = self.log.begin_read();
        let message = self.call_about(&hot, make::get_message(&hot.id)).await?;
        self.log.read(begun, hot.deletion, chat::DELETED - 1);
        self.log.read(begun, hot.key, number(message.version));
        Some(())
    }

    fn check_owner(&self, message: &v1::Message) {
        if message.body.contains(CANARY) {
            self.shared.counts.leaked();
        }
    }

    async fn read_memoized(&mut self, chat: usize, memo: &mut HashMap<Key, u64>) -> Option<()> {
        let hot = self.hot(chat)?;
        if let Some(version) = memo.get(&hot.key) {
            let begun = self.log.begin_read();
            self.log.read(begun, hot.key, *version);
        } else {
            memo.extend(self.read_message(chat).await);
        }
        Some(())
    }

    async fn read_conversation(&mut self, chat: usize) -> Option<()> {
        let Chat {
            ids,
            kind,
            conversation,
            count,
            ..
        } = &self.shared.chats[chat];
        let begun = self.log.begin_read();
        let found = self.call(make::get_conversation(&ids.id)).await?;
        self.log.read(begun, *conversation, number(found.version));
        if !matches!(kind, Kind::Shrinking) {
            self.log.read(begun, *count, number(found.message_count));
        }
        Some(())
    }

    async fn read_list(&mut self, chat: usize) -> Option<()> {
        let Chat { ids, list, .. } = &self.shared.chats[chat];
        let request = v1::ListMessagesRequest {
            page_size: i32::try_from(NEWEST).unwrap_or(i32::MAX),
            ..make::list(&ids.id)
        };
        let begun = self.log.begin_read();
        let page = self.call(request).await?;
        for message in &page.messages {
            self.check_owner(message);
        }
        let elements = page.messages.iter().map(chat::element).collect();
        self.log.read_list(begun, *list, elements, NEWEST);
        Some(())
    }
}
