//! Lists, statistics and searches: each write changes the cached responses that it must change, and no others.

use std::time::{Duration, Instant};

use parlance_testkit::Redis;
use parlance_tests::make::{self, Pair};

use super::*;

/// The cached responses of a scope, with the tier that each came from.
#[derive(Debug, Clone, PartialEq)]
struct Responses {
    list: v1::ListConversationsResponse,
    stats: v1::Stats,
    search: v1::SearchMessagesResponse,
    sources: [String; 3],
}

/// How long a reconciliation pass is valid. If no pass starts in time, the memory tier is not used: another instance
/// may have written.
const PASS_VALIDITY: Duration = Duration::from_secs(1);

/// The whole owner, and two of its users.
const USERS: [&str; 3] = ["", "ana", "bob"];

async fn response<R: Rpc>(t: &Caller, request: R) -> (R::Reply, String) {
    let response = t.call_with(Request::new(request)).await.expect("a reply");
    let source = response.metadata().get("x-parlance-cache");
    let source = source.expect("a source").to_str().expect("a word");
    let source = source.to_owned();
    (response.into_inner(), source)
}

async fn responses(t: &Caller, user: &str) -> Responses {
    let user = user.to_owned();
    let list = v1::ListConversationsRequest {
        user: user.clone(),
        with_total: true,
        ..Default::default()
    };
    let search = v1::SearchMessagesRequest {
        user: user.clone(),
        ..make::search("hello")
    };
    let (list, listed) = response(t, list).await;
    let (stats, counted) = response(t, v1::GetStatsRequest { user }).await;
    let (search, searched) = response(t, search).await;
    Responses {
        list,
        stats,
        search,
        sources: [listed, counted, searched],
    }
}

impl Responses {
    /// Which of list, statistics and search differ.
    fn differ(&self, other: &Self) -> [bool; 3] {
        [
            self.list != other.list,
            self.stats != other.stats,
            self.search != other.search,
        ]
    }
}

/// A caller at a service with this cache.
struct Fixture {
    t: Caller,
    tier: &'static str,
}

const UNCHANGED: [bool; 3] = [false; 3];
const ALL: [bool; 3] = [true; 3];

impl Fixture {
    /// Reads until all three responses come from the cache.
    async fn cached(&self, user: &str) -> Responses {
        eventually(SOON, async || {
            let cached = responses(&self.t, user).await;
            cached
                .sources
                .iter()
                .all(|source| source == self.tier)
                .then_some(cached)
        })
        .await
    }

    /// Start of the reconciliation pass that makes the memory tier usable now; `None` if the tier needs none.
    async fn pass_began(&self) -> Option<Instant> {
        if self.tier != "memory" {
            return None;
        }
        let now = Instant::now();
        let ago = info(&self.t).await.drained_ago?;
        now.checked_sub(ago.try_into().expect("a duration that is not negative"))
    }

    /// Reads the responses, which must still be cached since that pass: a deleted entry would be a miss. A Redis
    /// time-out on a busy machine is no miss, nor is a read while the gate is shut, though both are answered by the
    /// database.
    async fn read_still_cached(&self, user: &str, pass_began: Option<Instant>) -> Responses {
        let lookups = async |result| {
            let kinds = ["list", "stats", "search"];
            lookups(&self.t, self.tier, kinds, result).await
        };
        let (misses, gated) = (lookups("miss").await, lookups("gate").await);
        let seen = responses(&self.t, user).await;
        let is_cached = lookups("miss").await == misses || lookups("gate").await > gated;
        let pass_expired = pass_began.is_some_and(|began| began.elapsed() >= PASS_VALIDITY);
        assert!(
            is_cached || pass_expired,
            "the cached responses of {user:?} are gone"
        );
        seen
    }

    /// Fills the cache, writes, and asserts that the next read returns the expected changes of the owner, of ana and of
    /// bob, and the same as the database. What cannot have changed must still be cached.
    async fn when<T>(
        &self,
        what: &str,
        changes: [[bool; 3]; 3],
        act: impl AsyncFnOnce(&Caller) -> T,
    ) -> T {
        let pass_began = self.pass_began().await;
        let mut before = Vec::new();
        for user in USERS {
            before.push(self.cached(user).await);
        }
        let other = Fixture {
            t: self.t.other(),
            tier: self.tier,
        };
        let other_before = other.cached("").await;
        let result = act(&self.t).await;
        let mut after = Vec::new();
        for ((user, before), changes) in USERS.iter().zip(&before).zip(changes) {
            let seen = if changes == UNCHANGED {
                self.read_still_cached(user, pass_began).await
            } else {
                responses(&self.t, user).await
            };
            assert_eq!(
                before.differ(&seen),
                changes,
                "{what}: {user:?} before {before:?}, after {seen:?}"
            );
            after.push(seen);
        }
        let seen = other.read_still_cached("", pass_began).await;
        assert_eq!(
            other_before.differ(&seen),
            UNCHANGED,
            "{what}: another owner"
        );
        ok_with_redis(&self.t, v1::ClearCacheRequest {}).await;
        for (user, seen) in USERS.iter().zip(&after) {
            let stored = responses(&self.t, user).await;
            assert_eq!(stored.sources, ["database"; 3]);
            assert_eq!(
                stored.differ(seen),
                UNCHANGED,
                "{what}: {user:?} read {seen:?}, the database has {stored:?}"
            );
        }
        result
    }
}

/// A change for ana is a change for the owner, and none for bob.
fn for_ana(changes: [bool; 3]) -> [[bool; 3]; 3] {
    [changes, changes, UNCHANGED]
}

fn of_ana(request: v1::SendMessageRequest) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        user: "ana".to_owned(),
        ..request
    }
}

/// Writes that create and change conversations.
async fn conversations(fixture: &Fixture, pair: &Pair) {
    let list_and_stats = [true, true, false];
    let created = async |t: &Caller| {
        let mut create = make::create_chat("");
        if let Some(conversation) = &mut create.conversation {
            conversation.user = "ana".to_owned();
        }
        t.ok(create).await.id
    };
    let empty = fixture
        .when("create a conversation", for_ana(list_and_stats), created)
        .await;
    let received = async |t: &Caller| {
        let message = v1::ReceiveMessageRequest {
            user: "ana".to_owned(),
            ..make::inbound_sms(pair, "hello back")
        };
        t.ok(message).await.conversation_id
    };
    let conversation = fixture.when("receive", for_ana(ALL), received).await;
    let read = v1::MarkAsReadRequest {
        id: conversation.clone(),
        up_to_sequence: 0,
    };
    let unread = v1::MarkAsUnreadRequest {
        id: conversation.clone(),
    };
    let read = async |t: &Caller| t.ok(read).await;
    fixture
        .when("mark as read", for_ana(list_and_stats), read)
        .await;
    let unread = async |t: &Caller| t.ok(unread).await;
    fixture
        .when("mark as unread", for_ana(list_and_stats), unread)
        .await;
    let rename = async |t: &Caller| {
        t.ok(make::edit(&conversation, &["title"], |c| {
            c.title = "hello".to_owned();
        }))
        .await
    };
    fixture
        .when("rename", for_ana([true, false, true]), rename)
        .await;
    let data = async |t: &Caller| {
        t.ok(make::edit(&conversation, &["metadata"], |c| {
            c.metadata = Some(make::json("a", "b"));
        }))
        .await
    };
    fixture
        .when("set data", for_ana([true, false, false]), data)
        .await;
    let archive = async |t: &Caller| {
        t.ok(make::set_status(
            &conversation,
            v1::ConversationStatus::Archived,
        ))
        .await
    };
    fixture
        .when("archive", for_ana(list_and_stats), archive)
        .await;
    // Both the previous and the new user see a change; the owner's list shows the new user.
    let reassigned = [[true, false, false], ALL, ALL];
    let reassign = async |t: &Caller| {
        t.ok(make::edit(&conversation, &["user"], |c| {
            c.user = "bob".to_owned();
        }))
        .await
    };
    fixture
        .when("assign to another user", reassigned, reassign)
        .await;
    let back = async |t: &Caller| {
        t.ok(make::edit(&conversation, &["user"], |c| {
            c.user = "ana".to_owned();
        }))
        .await
    };
    fixture.when("assign back", reassigned, back).await;
    let delete = async |t: &Caller| t.ok(make::delete_conversation(&conversation)).await;
    fixture
        .when("delete a conversation", for_ana(ALL), delete)
        .await;
    let delete = async |t: &Caller| t.ok(make::delete_conversation(&empty)).await;
    fixture
        .when("delete an empty one", for_ana(list_and_stats), delete)
        .await;
}

/// Writes that create and change messages.
async fn messages(fixture: &Fixture, pair: &Pair) {
    let stats_and_search = [false, true, true];
    let first = async |t: &Caller| t.ok(of_ana(make::chat("conversation", "hello"))).await;
    let first = fixture.when("send the first", for_ana(ALL), first).await;
    let more = async |t: &Caller| {
        t.ok(make::reply(&first.conversation_id, "hello again"))
            .await
    };
    let more = fixture.when("send", for_ana(ALL), more).await;
    let edit = async |t: &Caller| {
        t.ok(make::edit_message(&more.id, &["body"], |m| {
            m.body = "goodbye".to_owned();
        }))
        .await
    };
    fixture
        .when("edit", for_ana([false, false, true]), edit)
        .await;
    let later = v1::SendMessageRequest {
        send_at: Some(make::far_future(0)),
        ..of_ana(make::sms(pair, "hello later"))
    };
    let later = async |t: &Caller| t.ok(later).await;
    let later = fixture.when("schedule", for_ana(ALL), later).await;
    let cancel = async |t: &Caller| t.ok(make::cancel(&later.id)).await;
    fixture
        .when("cancel", for_ana(stats_and_search), cancel)
        .await;
    let sent = async |t: &Caller| t.ok(of_ana(make::sms(pair, "hello now"))).await;
    let sent = fixture.when("send a text", for_ana(ALL), sent).await;
    let report = async |t: &Caller| {
        t.ok(make::report(&sent.id, v1::MessageStatus::Delivered))
            .await
    };
    fixture
        .when("report", for_ana(stats_and_search), report)
        .await;
    let delete = async |t: &Caller| t.ok(make::delete_message(&sent.id)).await;
    fixture.when("delete a message", for_ana(ALL), delete).await;
    // A repeated or refused request changes nothing.
    let again = async |t: &Caller| t.ok(make::cancel(&later.id)).await;
    fixture.when_unchanged("cancel again", again).await;
    let refused = async |t: &Caller| {
        t.refused(make::report(&later.id, v1::MessageStatus::Read))
            .await
    };
    fixture
        .when_unchanged("report about what was canceled", refused)
        .await;
}

impl Fixture {
    /// A repeated request may invalidate responses of ana and of the owner, but must not change them.
    async fn when_unchanged<T>(&self, what: &str, act: impl AsyncFnOnce(&Caller) -> T) {
        let pass_began = self.pass_began().await;
        let (before, bob_before) = (self.cached("ana").await, self.cached("bob").await);
        act(&self.t).await;
        assert_eq!(
            before.differ(&responses(&self.t, "ana").await),
            UNCHANGED,
            "{what}"
        );
        let seen = self.read_still_cached("bob", pass_began).await;
        assert_eq!(bob_before.differ(&seen), UNCHANGED, "{what}");
    }
}

/// A list of one address belongs to the scope of its user, like any other list, whether a sender has the address or
/// not.
async fn addresses(fixture: &Fixture, pair: &Pair) {
    let t = &fixture.t;
    let list = |user: &str| v1::ListConversationsRequest {
        participant: pair.ours.clone(),
        user: user.to_owned(),
        ..Default::default()
    };
    let receive = async |user: &str, from: &str| {
        let pair = Pair {
            theirs: from.to_owned(),
            ..pair.clone()
        };
        let message = v1::ReceiveMessageRequest {
            user: user.to_owned(),
            ..make::inbound_sms(&pair, "hello")
        };
        t.ok(message).await
    };
    receive("ana", &pair.theirs).await;
    receive("bob", &make::phone()).await;
    until_from(t, list("ana"), fixture.tier).await;
    receive("ana", &make::phone()).await;
    assert_eq!(t.ok(list("ana")).await.conversations.len(), 2);
    ok_with_redis(t, v1::ClearCacheRequest {}).await;
    until_from(t, list("bob"), fixture.tier).await;
    let bobs_lists = scope(t, &format!("{} bob", t.owner())).await;
    let bobs_lists = by_pattern(&format!("conversations:{{{bobs_lists}}}:*"));
    assert_eq!(
        ok_with_redis(t, bobs_lists).await.invalidated,
        1,
        "the list is in bob's scope"
    );
    let senders = t.ok(v1::ListSendersRequest::default()).await.senders;
    let ours = senders
        .into_iter()
        .find(|sender| sender.address == pair.ours);
    let id = ours.expect("a sender").id;
    t.ok(v1::DeleteSenderRequest { id }).await;
    for (user, expected) in [("ana", 2), ("bob", 1), ("", 3)] {
        assert_eq!(t.ok(list(user)).await.conversations.len(), expected);
    }
}

async fn writes_invalidate_affected_responses_only(kind: Kind, backend: &'static str) {
    let redis = (backend == "redis").then(Redis::start);
    let service = Service::start_with(kind, |builder| {
        let builder = builder.env("CACHE_BACKEND", backend);
        match &redis {
            Some(redis) => builder.redis_url(redis.url()),
            None => builder,
        }
    })
    .await;
    let fixture = Fixture {
        t: Caller::at(&service),
        tier: backend,
    };
    let of_bob = v1::SendMessageRequest {
        user: "bob".to_owned(),
        ..make::chat("bobs", "hello, says bob")
    };
    fixture.t.ok(of_bob).await;
    conversations(&fixture, &fixture.t.pair().await).await;
    messages(&fixture, &fixture.t.pair().await).await;
    addresses(&fixture, &fixture.t.pair().await).await;
}

#[tokio::test]
async fn writes_invalidate_affected_responses_only_in_memory() {
    writes_invalidate_affected_responses_only(Kind::Sqlite, "memory").await;
    writes_invalidate_affected_responses_only(Kind::Postgres, "memory").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_invalidate_affected_responses_only_in_redis() {
    writes_invalidate_affected_responses_only(Kind::Sqlite, "redis").await;
    writes_invalidate_affected_responses_only(Kind::Postgres, "redis").await;
}

/// The hash of a scope, computed as an operator would.
async fn scope(t: &Caller, of: &str) -> String {
    let info = t.ok(v1::GetCacheInfoRequest {}).await;
    let of = format!("{} {of}", info.installation);
    let shell = format!("printf '%s' '{of}' | sha256sum | cut -c1-32");
    let output = Command::new("sh").args(["-c", &shell]).output();
    let hash = String::from_utf8(output.expect("a shell").stdout);
    hash.expect("a number").trim_end().to_owned()
}

#[tokio::test]
async fn responses_are_counted_and_can_be_invalidated() {
    let (_service, t) = in_memory().await;
    t.ok(make::chat("", "hello")).await;
    let fixture = Fixture {
        t: t.clone(),
        tier: "memory",
    };
    fixture.cached("").await;
    for kind in ["list", "stats", "search"] {
        let counted = stats(&t, "memory", kind).await;
        assert_eq!(
            (counted.hits, counted.misses, counted.entries),
            (1, 1, 1),
            "{kind}"
        );
    }
    for (pattern, expected) in [
        ("conversations:*", ["database", "memory", "memory"]),
        ("stats:*", ["memory", "database", "memory"]),
        ("search:*", ["memory", "memory", "database"]),
    ] {
        assert_eq!(t.ok(by_pattern(pattern)).await.invalidated, 1);
        assert_eq!(responses(&t, "").await.sources, expected);
    }
    fixture.cached("").await;
    let scope = scope(&t, t.owner()).await;
    assert_eq!(
        t.ok(by_keys(&[format!("stats:{{{scope}}}")]))
            .await
            .invalidated,
        1
    );
    assert_eq!(
        responses(&t, "").await.sources,
        ["memory", "database", "memory"]
    );
    // The generation is no value, but its invalidation invalidates all responses of the scope.
    fixture.cached("").await;
    assert_eq!(
        t.ok(by_keys(&[format!("generation:{{{scope}}}")]))
            .await
            .invalidated,
        0
    );
    assert_eq!(responses(&t, "").await.sources, ["database"; 3]);
}
