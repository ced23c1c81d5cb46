//! The tables, once for both databases.

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
    use crate::fields::sql::{Moment, Uid};

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
        created_at -> Moment,
        updated_at -> Moment,
        version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::fields::sql::{Document, Moment, Uid};

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
        last_message_at -> Nullable<Moment>,
        active_at -> Moment,
        metadata -> Document,
        created_at -> Moment,
        updated_at -> Moment,
        version -> BigInt,
        edit_version -> BigInt,
        deleted_at -> Nullable<Moment>,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
    use crate::fields::sql::{Document, Moment, Uid};

    messages (id) {
        id -> Uid,
        owner -> Text,
        conversation_id -> Uid,
        sequence -> BigInt,
        channel -> Text,
        direction -> Text,
        status -> Text,
        role -> Nullable<Text>,
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
        latency_ms -> Nullable<BigInt>,
        metadata -> Document,
        policy -> Text,
        counts_unread -> Bool,
        send_at -> Nullable<Moment>,
        expires_at -> Nullable<Moment>,
        sent_at -> Nullable<Moment>,
        delivered_at -> Nullable<Moment>,
        read_at -> Nullable<Moment>,
        created_at -> Moment,
        updated_at -> Moment,
        version -> BigInt,
        edit_version -> BigInt,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
    use crate::fields::sql::{Moment, Uid};

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
        due_at -> Moment,
        expires_at -> Nullable<Moment>,
        created_at -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use crate::fields::sql::{Moment, Uid};

    message_events (id) {
        id -> BigInt,
        owner -> Text,
        message_id -> Uid,
        time -> Moment,
        kind -> Text,
        attempt -> Nullable<Integer>,
        provider -> Nullable<Text>,
        provider_time -> Nullable<Moment>,
        status -> Nullable<Text>,
        detail -> Text,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Nullable, Text};
    use crate::fields::sql::{Moment, Uid};

    attachments (id) {
        id -> Uid,
        owner -> Text,
        message_id -> Nullable<Uid>,
        filename -> Text,
        content_type -> Text,
        size_bytes -> BigInt,
        url -> Nullable<Text>,
        complete -> Bool,
        created_at -> Moment,
        expires_at -> Nullable<Moment>,
    }
}

diesel::table! {
    use diesel::sql_types::Text;
    use crate::fields::sql::Moment;

    deleted_messages (owner, provider, provider_message_id) {
        owner -> Text,
        provider -> Text,
        provider_message_id -> Text,
        deleted_at -> Moment,
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
    use crate::fields::sql::{Moment, Uid};

    idempotency_keys (owner, rpc, key) {
        owner -> Text,
        rpc -> Text,
        key -> Text,
        request_hash -> Binary,
        resource_id -> Uid,
        created_at -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Integer, Nullable, Text};
    use crate::fields::sql::{Document, Moment, TransactionId, Uid};

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
        time -> Moment,
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
    use crate::fields::sql::{Moment, Uid};

    cache_instances (id) {
        id -> Uid,
        memory -> Bool,
        shared -> Bool,
        alive_until -> Moment,
        serves_until -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool, Text};
    use crate::fields::sql::Moment;

    cache_epoch (only) {
        only -> Bool,
        number -> BigInt,
        remote -> Text,
        database -> Text,
        recorded_at -> Moment,
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

diesel::table! {
    use diesel::sql_types::{BigInt, Nullable, Text};
    use crate::fields::sql::{Moment, Uid};

    popular_searches (question) {
        question -> Uid,
        owner -> Text,
        query -> Text,
        page_size -> BigInt,
        user_label -> Nullable<Text>,
        conversation_id -> Nullable<Uid>,
        channel -> Nullable<Text>,
        direction -> Nullable<Text>,
        status -> Nullable<Text>,
        created_after -> Nullable<Moment>,
        created_before -> Nullable<Moment>,
        weight -> BigInt,
        asked_at -> Moment,
    }
}

diesel::table! {
    use diesel::sql_types::{BigInt, Bool};

    popular_state (only) {
        only -> Bool,
        day -> BigInt,
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
    imports,
    popular_searches
);

diesel::allow_tables_to_appear_in_same_query!(cache_epoch, cache_instances, installation);
