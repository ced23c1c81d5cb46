//! Owners of entities, and recently active conversations.

use parlance_domain::{Conversation, ConversationId, MessageId, Owner};
use parlance_storage::db::ownership::ActiveConversation;
use uuid::Uuid;

use crate::support::{Db, append, open, owner};

on_both! {
    async fn an_id_determines_its_owner(db: Db) {
        let (ours, theirs) = (owner("acme"), owner("other"));
        let conversation = open(&db.open, &ours).await;
        let message = append(&db.open, &ours, conversation.id).await.unwrap();
        let foreign = open(&db.open, &theirs).await;
        assert_eq!(db.open.owner_of_message(message.id).await.unwrap(), Some(ours.clone()));
        assert_eq!(db.open.owner_of_conversation(conversation.id).await.unwrap(), Some(ours));
        assert_eq!(db.open.owner_of_conversation(foreign.id).await.unwrap(), Some(theirs));
        let nothing = Uuid::from_u128(7);
        assert_eq!(db.open.owner_of_message(MessageId::from_uuid(nothing)).await.unwrap(), None);
        assert_eq!(db.open.owner_of_conversation(ConversationId::from_uuid(nothing)).await.unwrap(), None);
    }

    async fn recently_active_conversations_are_listed_once_latest_first(db: Db) {
        let (ours, theirs) = (owner("acme"), owner("other"));
        let first = open(&db.open, &ours).await;
        let second = open(&db.open, &theirs).await;
        let third = open(&db.open, &ours).await;
        append(&db.open, &theirs, second.id).await.unwrap();
        append(&db.open, &ours, first.id).await.unwrap();
        append(&db.open, &ours, first.id).await.unwrap();
        let active = |owner: &Owner, conversation: &Conversation| ActiveConversation {
            owner: owner.clone(),
            user: conversation.user.clone(),
            conversation: conversation.id,
        };
        let latest = [active(&ours, &first), active(&theirs, &second), active(&ours, &third)];
        assert_eq!(db.open.recently_active(9).await.unwrap(), latest);
        assert_eq!(db.open.recently_active(2).await.unwrap(), latest[..2]);
        assert_eq!(db.open.recently_active(0).await.unwrap(), []);
    }
}
