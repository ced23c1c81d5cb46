//! Table definitions, shared by both databases.

/// A table that is pruned by age, with an index on its time column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AgingTable {
    pub(crate) table: &'static str,
    pub(crate) time: &'static str,
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Text};
    use crate::fields::sql::Uid;

    installation (only) {
        only -> Bool,
        id -> Uid,
        database -> Text,
        server -> Text,
        held_on -> Text,
        reconciliations -> BigInt,
        generation -> BigInt,
        released -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Bool};

    write_probe (only) {
        only -> Bool,
        filler -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
    use crate::fields::sql::{TimestampColumn, Uid};

    senders (id) {
        id -> Uid,
        owner -> Text,
        channel -> Text,
        address -> Text,
        provider -> Text,
        credentials -> Text,
        status -> Text,
        segments_per_second -> Integer,
        default_expiry -> Nullable<BigInt>,
        reply_domain -> Text,
        messaging_service -> Text,
        created_at -> TimestampColumn,
        updated_at -> TimestampColumn,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::fields::sql::{Document, TimestampColumn, Uid};

    conversations (id) {
        id -> Uid,
        owner -> Text,
        user_label -> Text,
        channel -> Text,
        participant_from -> Text,
        participant_to -> Text,
        title -> Text,
        status -> Text,
        external_id -> Nullable<Text>,
        last_sequence -> BigInt,
        read_sequence -> BigInt,
        message_count -> BigInt,
        unread_count -> BigInt,
        last_message_at -> Nullable<TimestampColumn>,
        active_at -> TimestampColumn,
        metadata -> Document,
        created_at -> TimestampColumn,
        updated_at -> TimestampColumn,
        version -> BigInt,
        edit_version -> BigInt,
        deleted_at -> Nullable<TimestampColumn>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
    use crate::fields::sql::{Document, TimestampColumn, Uid};

    // 32 columns, the most that diesel's feature `32-column-tables` allows; the next larger feature quadruples its compile
    // time. A field that no statement reads is stored in `other_fields` (docs/adr/0021-other-fields.md).
    messages (id) {
        id -> Uid,
        owner -> Text,
        conversation_id -> Uid,
        sequence -> BigInt,
        channel -> Text,
        direction -> Text,
        status -> Text,
        from_address -> Text,
        to_address -> Text,
        cc_addresses -> Document,
        subject -> Text,
        body -> Text,
        html_body -> Text,
        attachments -> Document,
        provider -> Nullable<Text>,
        provider_message_id -> Nullable<Text>,
        attempt -> Integer,
        error -> Nullable<Document>,
        segments -> Integer,
        tokens_used -> Nullable<BigInt>,
        metadata -> Document,
        other_fields -> Document,
        counts_unread -> Bool,
        send_at -> Nullable<TimestampColumn>,
        expires_at -> Nullable<TimestampColumn>,
        sent_at -> Nullable<TimestampColumn>,
        delivered_at -> Nullable<TimestampColumn>,
        read_at -> Nullable<TimestampColumn>,
        created_at -> TimestampColumn,
        updated_at -> TimestampColumn,
        version -> BigInt,
        edit_version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
    use crate::fields::sql::{TimestampColumn, Uid};

    deliveries (message_id) {
        message_id -> Uid,
        owner -> Text,
        conversation_id -> Uid,
        sequence -> BigInt,
        sender_id -> Uid,
        channel -> Text,
        provider -> Text,
        state -> Text,
        attempt -> Integer,
        blocked -> Bool,
        generation -> BigInt,
        due_at -> TimestampColumn,
        expires_at -> Nullable<TimestampColumn>,
        created_at -> TimestampColumn,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use crate::fields::sql::{TimestampColumn, Uid};

    message_events (id) {
        id -> BigInt,
        owner -> Text,
        message_id -> Uid,
        time -> TimestampColumn,
        kind -> Text,
        attempt -> Nullable<Integer>,
        provider -> Nullable<Text>,
        provider_time -> Nullable<TimestampColumn>,
        status -> Nullable<Text>,
        detail -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, Text};
    use crate::fields::sql::{TimestampColumn, Uid};

    attachments (id) {
        id -> Uid,
        owner -> Text,
        message_id -> Nullable<Uid>,
        filename -> Text,
        content_type -> Text,
        size_bytes -> BigInt,
        url -> Nullable<Text>,
        complete -> Bool,
        created_at -> TimestampColumn,
        expires_at -> Nullable<TimestampColumn>,
    }
}

diesel::table! {
    use diesel::sql_types::Text;
    use crate::fields::sql::TimestampColumn;

    deleted_messages (owner, provider, provider_message_id) {
        owner -> Text,
        provider -> Text,
        provider_message_id -> Text,
        deleted_at -> TimestampColumn,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Integer};
    use crate::fields::sql::Uid;

    attachment_chunks (attachment_id, position) {
        attachment_id -> Uid,
        position -> Integer,
        data -> Binary,
    }
}

diesel::table! {
    use diesel::sql_types::{Binary, Text};
    use crate::fields::sql::{TimestampColumn, Uid};

    idempotency_keys (owner, rpc, key) {
        owner -> Text,
        rpc -> Text,
        key -> Text,
        request_hash -> Binary,
        resource_id -> Uid,
        created_at -> TimestampColumn,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use crate::fields::sql::{Document, TimestampColumn, TransactionId, Uid};

    feed (xid, id) {
        xid -> TransactionId,
        id -> BigInt,
        owner -> Text,
        kind -> Text,
        conversation_id -> Uid,
        message_id -> Nullable<Uid>,
        user_label -> Text,
        payload -> Nullable<Document>,
        bytes -> Integer,
        time -> TimestampColumn,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Nullable};
    use crate::fields::sql::TransactionId;

    feed_state (only) {
        only -> Bool,
        epoch -> BigInt,
        pruned_xid -> TransactionId,
        pruned_id -> BigInt,
        stale_id -> Nullable<BigInt>,
    }
}

diesel::table! {
    use diesel::sql_types::Bool;
    use crate::fields::sql::{TimestampColumn, Uid};

    cache_instances (id) {
        id -> Uid,
        memory -> Bool,
        shared -> Bool,
        alive_until -> TimestampColumn,
        serves_until -> TimestampColumn,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Text};
    use crate::fields::sql::TimestampColumn;

    cache_epoch (only) {
        only -> Bool,
        number -> BigInt,
        remote -> Text,
        database -> Text,
        recorded_at -> TimestampColumn,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Text};

    cache_pending (id) {
        id -> BigInt,
        cache_key -> Text,
        token -> Text,
        retired -> Bool,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::fields::sql::Uid;

    search_pending (conversation_id) {
        conversation_id -> Uid,
        owner -> Text,
        below -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{Bool, Text};

    search_state (only) {
        only -> Bool,
        made_by -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Text};
    use crate::fields::sql::Uid;

    imports (conversation_id) {
        conversation_id -> Uid,
        owner -> Text,
        messages -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    installation,
    conversations,
    messages,
    deliveries,
    senders,
    attachments,
    attachment_chunks,
    imports
);

diesel::allow_tables_to_appear_in_same_query!(cache_epoch, cache_instances, installation);
