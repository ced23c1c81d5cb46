//! Those who read.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use parlance_proto::v1;
use parlance_testkit::history::Key;
use parlance_tests::make;

use super::chat::{self, Chat, Kind};
use super::{CANARY, Client, MESSAGES, NEWEST, Readers, number};

impl Client {
    /// As often as not the one that is being written to.
    fn chat_to_read(&mut self) -> usize {
        if self.dice.below(2) == 0 {
            self.shared.latest.load(Ordering::Relaxed)
        } else {
            self.chat()
        }
    }

    pub(super) async fn read_on(mut self, readers: Readers) {
        let mut hoard: HashMap<Key, u64> = HashMap::new();
        while self.think().await {
            let chat = self.chat_to_read();
            let read = match self.dice.below(8) {
                0..2 => self.read_conversation(chat).await,
                2..4 => self.read_list(chat).await,
                4 => self.read_doomed(chat).await,
                _ if readers == Readers::Hoard => self.read_hoarded(chat, &mut hoard).await,
                _ => self.read_message(chat).await.map(|_| ()),
            };
            let answered = usize::from(read.is_some());
            self.shared.reads[self.instance].fetch_add(answered, Ordering::Relaxed);
        }
    }

    async fn read_message(&mut self, chat: usize) -> Option<(Key, u64)> {
        let hot = self.hot(chat)?;
        let begun = self.log.begin_read();
        let message = self.ask_about(&hot, make::get_message(&hot.id)).await?;
        self.look_at(&message);
        let version = number(message.version);
        self.log.read(begun, hot.key, version);
        Some((hot.key, version))
    }

    /// What may be gone must not come back. Where nothing is deleted, one of the others.
    async fn read_doomed(&mut self, chat: usize) -> Option<()> {
        let which = self.dice.index(MESSAGES);
        let Some(hot) = self.shared.chats[chat].doomed(which) else {
            return self.read_message(chat).await.map(|_| ());
        };
        let begun = self.log.begin_read();
        let message = self.ask_about(&hot, make::get_message(&hot.id)).await?;
        self.log.read(begun, hot.gone, chat::GONE - 1);
        self.log.read(begun, hot.key, number(message.version));
        Some(())
    }

    fn look_at(&self, message: &v1::Message) {
        if message.body.contains(CANARY) {
            self.shared.counts.leaked();
        }
    }

    async fn read_hoarded(&mut self, chat: usize, hoard: &mut HashMap<Key, u64>) -> Option<()> {
        let hot = self.hot(chat)?;
        if let Some(version) = hoard.get(&hot.key) {
            let begun = self.log.begin_read();
            self.log.read(begun, hot.key, *version);
        } else {
            hoard.extend(self.read_message(chat).await);
        }
        Some(())
    }

    async fn read_conversation(&mut self, chat: usize) -> Option<()> {
        let Chat {
            named,
            kind,
            conversation,
            count,
            ..
        } = &self.shared.chats[chat];
        let begun = self.log.begin_read();
        let found = self.ask(make::get_conversation(&named.id)).await?;
        self.log.read(begun, *conversation, number(found.version));
        if !matches!(kind, Kind::Shrinking) {
            self.log.read(begun, *count, number(found.message_count));
        }
        Some(())
    }

    async fn read_list(&mut self, chat: usize) -> Option<()> {
        let Chat { named, list, .. } = &self.shared.chats[chat];
        let request = v1::ListMessagesRequest {
            page_size: i32::try_from(NEWEST).unwrap_or(i32::MAX),
            ..make::list(&named.id)
        };
        let begun = self.log.begin_read();
        let page = self.ask(request).await?;
        for message in &page.messages {
            self.look_at(message);
        }
        let elements = page.messages.iter().map(chat::element).collect();
        self.log.read_list(begun, *list, elements, NEWEST);
        Some(())
    }
}
