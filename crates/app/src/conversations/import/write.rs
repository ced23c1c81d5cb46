//! Writes one batch of an import in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use parlance_domain::{Attachment, Conversation, MessageId, Owner};
use parlance_storage::db::import::{ExistingConversation, Import};
use parlance_storage::{Guarded, Touch, Tx};

use super::batch::{Batch, Part, count};
use super::group::{Group, conversation, is_among, open_pair};
use super::{Imported, OldMessage, RefusedPart};
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::external_id_taken;
use crate::write::{TryResult, none_on_conflict, retry_on_conflict};

/// State of one attempt.
#[derive(Default)]
struct BatchState {
    done: Imported,
    imports: Vec<Import>,
    files: Vec<(MessageId, Attachment)>,
    /// Pairs of addresses and provider ids in this batch, which no other part may have.
    pairs: HashSet<(String, String)>,
    carried: HashSet<(String, String)>,
}

impl BatchState {
    fn refuse(&mut self, part: &Part, error: Error) {
        self.done.refuse(RefusedPart {
            index: part.index,
            external_id: part.external_id().to_owned(),
            error,
        });
    }
}

impl App {
    /// Writes a batch. If every attempt meets a conflict its parts are written one by one, so that only the parts
    /// with a conflict are refused.
    pub(super) async fn import_batch(&self, owner: &Owner, batch: Batch) -> Result<Imported> {
        let all: Vec<&Part> = batch.parts.iter().collect();
        let mut done = Imported::default();
        match retry_on_conflict(|| self.try_import(owner, &all)).await {
            Err(error) if error.reason == Reason::Conflict => {}
            result => return result,
        }
        for part in &all {
            let alone = std::slice::from_ref(part);
            match retry_on_conflict(|| self.try_import(owner, alone)).await {
                Err(error) if error.reason == Reason::Conflict => done.refuse(RefusedPart {
                    index: part.index,
                    external_id: part.external_id().to_owned(),
                    error,
                }),
                result => done.add(result?),
            }
        }
        Ok(done)
    }

    async fn try_import(&self, owner: &Owner, parts: &[&Part]) -> Result<TryResult<Imported>> {
        // Sorted by external id, so that concurrent imports of the same data lock in one order.
        let mut groups: BTreeMap<&str, Vec<&Part>> = BTreeMap::new();
        for part in parts {
            groups.entry(part.external_id()).or_default().push(part);
        }
        let mut tx = self.begin(owner).await?;
        let names: Vec<String> = groups.keys().copied().map(str::to_owned).collect();
        let known = by_name(tx.existing_conversations(&names).await?);
        let Some(mut locked) = lock(&mut tx, &groups, &known).await? else {
            return Ok(TryResult::Conflict);
        };
        let mut state = BatchState::default();
        for (name, parts) in groups {
            let group = match (locked.remove(name), known.get(name)) {
                (Some(group), _) => group,
                (None, Some(known)) => {
                    self.skip_existing(&mut tx, known, &parts, &mut state)
                        .await?;
                    continue;
                }
                (None, None) => match self.new_group(&mut tx, owner, &parts, &mut state).await? {
                    Some(group) => group,
                    None => continue,
                },
            };
            self.fill(&mut tx, group, &parts, &mut state).await?;
        }
        self.finish_import(tx, state).await
    }

    /// A new conversation; `None` if its parts are refused.
    async fn new_group(
        &self,
        tx: &mut Tx,
        owner: &Owner,
        parts: &[&Part],
        state: &mut BatchState,
    ) -> Result<Option<Group>> {
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        let now = tx.now();
        let made = (self.conversation_id(now), owner, now);
        let old = &first.old;
        let conversation = conversation(&old.conversation, old.messages.first(), made);
        if let Some(pair) = open_pair(&conversation) {
            let taken = tx
                .conversation_of_pair(conversation.channel, &pair.0, &pair.1)
                .await?;
            if taken.is_some() || !state.pairs.insert(pair) {
                for part in parts {
                    state.refuse(part, pair_taken(taken.as_ref()));
                }
                return Ok(None);
            }
        }
        Ok(Some(Group::new(conversation)))
    }

    /// Adds the missing messages.
    async fn fill(
        &self,
        tx: &mut Tx,
        mut group: Group,
        parts: &[&Part],
        state: &mut BatchState,
    ) -> Result<()> {
        let now = tx.now();
        let mut accepted_any = false;
        for part in parts {
            let existing = match group.existing_count(part) {
                Ok(existing) => existing,
                Err(error) => {
                    state.refuse(part, error);
                    continue;
                }
            };
            let missing = part.old.messages.get(existing..).unwrap_or_default();
            if let Some(error) = carried_twice(tx, missing, &mut state.carried).await? {
                state.refuse(part, error);
                continue;
            }
            accepted_any = true;
            state.done.skipped += count(existing);
            state.done.messages += count(missing.len());
            for old in missing {
                let id = self.message_id(now);
                group.push(id, old, now);
                let files = old.attachments.iter();
                let files = files.map(|file| (id, file.attachment(self.attachment_id(now))));
                state.files.extend(files);
            }
        }
        if !accepted_any {
            // A conversation that is not created leaves its addresses to another part.
            if let Some(pair) = open_pair(group.conversation()).filter(|_| group.is_new()) {
                state.pairs.remove(&pair);
            }
            return Ok(());
        }
        let conversation = group.conversation().clone();
        state.done.conversations += i64::from(group.is_new());
        match group.import(now) {
            Some(import) => state.imports.push(import),
            // A concurrent import has just added the rest.
            None => reinvalidate(tx, &conversation),
        }
        Ok(())
    }

    /// Skips a conversation that is complete or was not created by an import.
    async fn skip_existing(
        &self,
        tx: &mut Tx,
        known: &ExistingConversation,
        parts: &[&Part],
        state: &mut BatchState,
    ) -> Result<()> {
        let found = &known.conversation;
        if let Some(filled) = known.imported {
            let group = Group::found(found.clone(), filled);
            for part in parts {
                match group.existing_count(part) {
                    Ok(existing) => state.done.skipped += count(existing),
                    Err(error) => state.refuse(part, error),
                }
            }
            reinvalidate(tx, found);
            return Ok(());
        }
        for part in parts {
            if has_all(tx, found, &part.old.messages).await? {
                state.done.skipped += count(part.old.messages.len());
            } else {
                state.refuse(part, external_id_taken(found));
            }
        }
        Ok(())
    }

    async fn finish_import(
        &self,
        mut tx: Tx,
        mut state: BatchState,
    ) -> Result<TryResult<Imported>> {
        let mut files: HashMap<MessageId, Vec<Attachment>> = HashMap::new();
        for (message, file) in &state.files {
            files.entry(*message).or_default().push(file.clone());
        }
        for message in state
            .imports
            .iter_mut()
            .flat_map(|import| &mut import.messages)
        {
            message.attachments = files.remove(&message.id).unwrap_or_default();
        }
        if !state.imports.is_empty() {
            let written = tx.import(&state.imports).await;
            let Some(Guarded::Updated) = none_on_conflict(written)? else {
                return Ok(TryResult::Conflict);
            };
        }
        for (message, file) in state.files {
            tx.insert_attachment(&file, message, Vec::new()).await?;
        }
        self.commit(tx).await?;
        Ok(TryResult::Done(state.done))
    }
}

/// Invalidates the conversation again: an earlier import may have been interrupted before the cache was invalidated.
fn reinvalidate(tx: &mut Tx, conversation: &Conversation) {
    tx.touch(Touch::ConversationImported(
        conversation.id,
        conversation.user.clone(),
    ));
}

fn by_name(known: Vec<ExistingConversation>) -> HashMap<String, ExistingConversation> {
    let named =
        |known: ExistingConversation| Some((known.conversation.external_id.clone()?, known));
    known.into_iter().filter_map(named).collect()
}

/// Locks every conversation that needs messages, in the order of their ids, before anything is written; `None` if one
/// of them has just been deleted.
async fn lock<'a>(
    tx: &mut Tx,
    groups: &BTreeMap<&'a str, Vec<&Part>>,
    known: &HashMap<String, ExistingConversation>,
) -> Result<Option<HashMap<&'a str, Group>>> {
    let mut incomplete = BTreeSet::new();
    for (name, parts) in groups {
        let Some(known) = known.get(*name) else {
            continue;
        };
        let is_incomplete = |filled| parts.iter().any(|part| part.end() > filled);
        if known.imported.is_some_and(is_incomplete) {
            incomplete.insert((known.conversation.id, *name));
        }
    }
    let mut locked = HashMap::new();
    for (id, name) in incomplete {
        let found = tx.lock_conversation(id).await?;
        let found = found.filter(|found| found.external_id.as_deref() == Some(name));
        let (Some(found), Some(filled)) = (found, tx.imported(id).await?) else {
            return Ok(None);
        };
        locked.insert(name, Group::found(found, filled));
    }
    Ok(Some(locked))
}

/// Whether a conversation that was not created by an import has all these messages.
async fn has_all(tx: &mut Tx, found: &Conversation, old: &[OldMessage]) -> Result<bool> {
    let times: Option<Vec<_>> = old.iter().map(|message| message.created_at).collect();
    let Some(times) = times else {
        return Ok(false);
    };
    let mut likenesses = tx.messages_created_at(found.id, &times).await?;
    Ok(old.iter().all(|old| is_among(&mut likenesses, old)))
}

/// Fails if a provider's id occurs twice. The ids count as used only once the whole part is accepted.
async fn carried_twice(
    tx: &mut Tx,
    messages: &[OldMessage],
    carried: &mut HashSet<(String, String)>,
) -> Result<Option<Error>> {
    let mut own = HashSet::new();
    for (provider, id) in messages
        .iter()
        .filter_map(|message| message.carried.as_ref())
    {
        if id.is_empty() {
            continue;
        }
        let name = (provider.clone(), id.clone());
        let is_new = !carried.contains(&name) && own.insert(name);
        if !is_new || tx.message_by_provider_id(provider, id).await?.is_some() {
            let taken = Error::new(
                Reason::ProviderMessageIdTaken,
                "another message has this provider_message_id of this provider",
            );
            return Ok(Some(taken.with("provider_message_id", id)));
        }
    }
    carried.extend(own);
    Ok(None)
}

fn pair_taken(by: Option<&Conversation>) -> Error {
    let taken = Error::new(
        Reason::ConversationExists,
        "these two addresses have another conversation that is not closed",
    );
    match by {
        Some(by) => taken.with("conversation_id", by.id),
        None => taken,
    }
}
