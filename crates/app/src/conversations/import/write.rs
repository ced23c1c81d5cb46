//! One batch of an import, in one transaction.

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
use crate::write::{Attempt, overtaken_by_conflict, until_done};

/// What one attempt has come to so far.
#[derive(Default)]
struct Attempted {
    done: Imported,
    imports: Vec<Import>,
    files: Vec<(MessageId, Attachment)>,
    /// What of this batch no other part may have.
    pairs: HashSet<(String, String)>,
    carried: HashSet<(String, String)>,
}

impl Attempted {
    fn refuse(&mut self, part: &Part, error: Error) {
        self.done.refuse(RefusedPart {
            index: part.index,
            external_id: part.external_id().to_owned(),
            error,
        });
    }
}

impl App {
    /// Writes a batch. If somebody else is in its way each time, its parts are written one by one, so that only those are
    /// refused that are.
    pub(super) async fn import_batch(&self, owner: &Owner, batch: Batch) -> Result<Imported> {
        let all: Vec<&Part> = batch.parts.iter().collect();
        let mut done = Imported::default();
        match until_done(|| self.try_import(owner, &all)).await {
            Err(error) if error.reason == Reason::Conflict => {}
            result => return result,
        }
        for part in &all {
            let alone = std::slice::from_ref(part);
            match until_done(|| self.try_import(owner, alone)).await {
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

    async fn try_import(&self, owner: &Owner, parts: &[&Part]) -> Result<Attempt<Imported>> {
        // By name, so that two who bring the same wait for one another in one order.
        let mut groups: BTreeMap<&str, Vec<&Part>> = BTreeMap::new();
        for part in parts {
            groups.entry(part.external_id()).or_default().push(part);
        }
        let mut tx = self.begin(owner).await?;
        let names: Vec<String> = groups.keys().copied().map(str::to_owned).collect();
        let known = by_name(tx.existing_conversations(&names).await?);
        let Some(mut locked) = lock(&mut tx, &groups, &known).await? else {
            return Ok(Attempt::Overtaken);
        };
        let mut attempted = Attempted::default();
        for (name, parts) in groups {
            let group = match (locked.remove(name), known.get(name)) {
                (Some(group), _) => group,
                (None, Some(known)) => {
                    self.pass_over(&mut tx, known, &parts, &mut attempted)
                        .await?;
                    continue;
                }
                (None, None) => match self
                    .opened_for(&mut tx, owner, &parts, &mut attempted)
                    .await?
                {
                    Some(group) => group,
                    None => continue,
                },
            };
            self.fill(&mut tx, group, &parts, &mut attempted).await?;
        }
        self.finish_import(tx, attempted).await
    }

    /// A new conversation, unless it cannot be one.
    async fn opened_for(
        &self,
        tx: &mut Tx,
        owner: &Owner,
        parts: &[&Part],
        attempted: &mut Attempted,
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
            if taken.is_some() || !attempted.pairs.insert(pair) {
                for part in parts {
                    attempted.refuse(part, pair_taken(taken.as_ref()));
                }
                return Ok(None);
            }
        }
        Ok(Some(Group::new(conversation)))
    }

    /// Adds what is missing.
    async fn fill(
        &self,
        tx: &mut Tx,
        mut group: Group,
        parts: &[&Part],
        attempted: &mut Attempted,
    ) -> Result<()> {
        let now = tx.now();
        let mut taken_any = false;
        for part in parts {
            let there = match group.there(part) {
                Ok(there) => there,
                Err(error) => {
                    attempted.refuse(part, error);
                    continue;
                }
            };
            let missing = part.old.messages.get(there..).unwrap_or_default();
            if let Some(error) = carried_twice(tx, missing, &mut attempted.carried).await? {
                attempted.refuse(part, error);
                continue;
            }
            taken_any = true;
            attempted.done.skipped += count(there);
            attempted.done.messages += count(missing.len());
            for old in missing {
                let id = self.message_id(now);
                group.push(id, old, now);
                let files = old.attachments.iter();
                let files = files.map(|file| (id, file.attachment(self.attachment_id(now))));
                attempted.files.extend(files);
            }
        }
        if !taken_any {
            // A conversation that is not made leaves its addresses to another.
            if let Some(pair) = open_pair(group.conversation()).filter(|_| group.is_new()) {
                attempted.pairs.remove(&pair);
            }
            return Ok(());
        }
        let conversation = group.conversation().clone();
        attempted.done.conversations += i64::from(group.is_new());
        match group.import(now) {
            Some(import) => attempted.imports.push(import),
            // Somebody else has just brought the rest.
            None => told_again(tx, &conversation),
        }
        Ok(())
    }

    /// A conversation that is complete, or that no import made.
    async fn pass_over(
        &self,
        tx: &mut Tx,
        known: &ExistingConversation,
        parts: &[&Part],
        attempted: &mut Attempted,
    ) -> Result<()> {
        let found = &known.conversation;
        if let Some(filled) = known.imported {
            let group = Group::found(found.clone(), filled);
            for part in parts {
                match group.there(part) {
                    Ok(there) => attempted.done.skipped += count(there),
                    Err(error) => attempted.refuse(part, error),
                }
            }
            told_again(tx, found);
            return Ok(());
        }
        for part in parts {
            if has_all(tx, found, &part.old.messages).await? {
                attempted.done.skipped += count(part.old.messages.len());
            } else {
                attempted.refuse(part, external_id_taken(found));
            }
        }
        Ok(())
    }

    async fn finish_import(
        &self,
        mut tx: Tx,
        mut attempted: Attempted,
    ) -> Result<Attempt<Imported>> {
        let mut files: HashMap<MessageId, Vec<Attachment>> = HashMap::new();
        for (message, file) in &attempted.files {
            files.entry(*message).or_default().push(file.clone());
        }
        for message in attempted
            .imports
            .iter_mut()
            .flat_map(|import| &mut import.messages)
        {
            message.attachments = files.remove(&message.id).unwrap_or_default();
        }
        if !attempted.imports.is_empty() {
            let written = tx.import(&attempted.imports).await;
            let Some(Guarded::Updated) = overtaken_by_conflict(written)? else {
                return Ok(Attempt::Overtaken);
            };
        }
        for (message, file) in attempted.files {
            tx.insert_attachment(&file, message, Vec::new()).await?;
        }
        self.commit(tx).await?;
        Ok(Attempt::Done(attempted.done))
    }
}

/// Whoever imported it before may have been cut off before the cache was told.
fn told_again(tx: &mut Tx, conversation: &Conversation) {
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

/// Takes the turn of every conversation that is to be added to, in the order of their ids, before anything is written; `None`
/// if one of them has just gone.
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

/// Whether a conversation that no import made has all these messages.
async fn has_all(tx: &mut Tx, found: &Conversation, old: &[OldMessage]) -> Result<bool> {
    let times: Option<Vec<_>> = old.iter().map(|message| message.created_at).collect();
    let Some(times) = times else {
        return Ok(false);
    };
    let mut likenesses = tx.messages_created_at(found.id, &times).await?;
    Ok(old.iter().all(|old| is_among(&mut likenesses, old)))
}

/// A provider has one message under one id. The ids count as taken once the whole part is accepted.
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
