//! Lists, statistics and searches: what each action changes of them, seen by whoever reads next.

use std::time::{Duration, Instant};

use parlance_testkit::Redis;
use parlance_tests::make::{self, Pair};

use super::*;

/// What is kept of a scope, with where it was found.
#[derive(Debug, Clone, PartialEq)]
struct Answers {
    list: v1::ListConversationsResponse,
    stats: v1::Stats,
    search: v1::SearchMessagesResponse,
    sources: [String; 3],
}

/// How long a drain is good for. Where nobody drains in time, what is in memory goes by itself: somebody else may have written.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// The whole owner, and two of its users.
const USERS: [&str; 3] = ["", "ana", "bob"];

async fn answer<R: Rpc>(t: &Caller, request: R) -> (R::Reply, String) {
    let response = t.ask_with(Request::new(request)).await.expect("an answer");
    let source = response.metadata().get("x-parlance-cache");
    let source = source.expect("a source").to_str().expect("a word");
    let source = source.to_owned();
    (response.into_inner(), source)
}

async fn answers(t: &Caller, user: &str) -> Answers {
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
    let (list, listed) = answer(t, list).await;
    let (stats, counted) = answer(t, v1::GetStatsRequest { user }).await;
    let (search, found) = answer(t, search).await;
    Answers {
        list,
        stats,
        search,
        sources: [listed, counted, found],
    }
}

impl Answers {
    /// List, statistics, search: whether they say something else.
    fn differ(&self, other: &Self) -> [bool; 3] {
        [
            self.list != other.list,
            self.stats != other.stats,
            self.search != other.search,
        ]
    }
}

/// An owner at a service with this cache.
struct World {
    t: Caller,
    tier: &'static str,
}

const NOTHING: [bool; 3] = [false; 3];
const ALL: [bool; 3] = [true; 3];

impl World {
    /// Once all of it is kept.
    async fn kept(&self, user: &str) -> Answers {
        eventually(SOON, async || {
            let kept = answers(&self.t, user).await;
            kept.sources
                .iter()
                .all(|source| source == self.tier)
                .then_some(kept)
        })
        .await
    }

    /// When the drain began by which what is in memory may be used now, if that takes one.
    async fn drained(&self) -> Option<Instant> {
        if self.tier != "memory" {
            return None;
        }
        let now = Instant::now();
        let ago = info(&self.t).await.drained_ago?;
        now.checked_sub(ago.try_into().expect("it has begun"))
    }

    /// What this user is told, all of it as it was kept since that drain: what has gone is missed by the next reader. What is merely
    /// late on a busy machine is not, nor what nobody may look for just now, though the database answers for both.
    async fn is_still_kept(&self, user: &str, drained: Option<Instant>) -> Answers {
        let looks = async |result| {
            let kinds = ["list", "stats", "search"];
            looks(&self.t, self.tier, kinds, result).await
        };
        let (misses, shut) = (looks("miss").await, looks("gate").await);
        let seen = answers(&self.t, user).await;
        let is_kept = looks("miss").await == misses || looks("gate").await > shut;
        let by_itself = drained.is_some_and(|began| began.elapsed() >= GOOD_FOR);
        assert!(is_kept || by_itself, "{user:?} has nothing to do with it");
        seen
    }

    /// All is kept, then something is done, and whoever reads next sees what it changed of the owner's, ana's and bob's, and
    /// what the database says. What cannot have changed is still kept.
    async fn when<T>(
        &self,
        what: &str,
        changes: [[bool; 3]; 3],
        act: impl AsyncFnOnce(&Caller) -> T,
    ) -> T {
        let drained = self.drained().await;
        let mut before = Vec::new();
        for user in USERS {
            before.push(self.kept(user).await);
        }
        let stranger = World {
            t: self.t.other(),
            tier: self.tier,
        };
        let strangers = stranger.kept("").await;
        let came = act(&self.t).await;
        let mut after = Vec::new();
        for ((user, before), changes) in USERS.iter().zip(&before).zip(changes) {
            let seen = if changes == NOTHING {
                self.is_still_kept(user, drained).await
            } else {
                answers(&self.t, user).await
            };
            assert_eq!(
                before.differ(&seen),
                changes,
                "{what}: {user:?} was {before:?} and is {seen:?}"
            );
            after.push(seen);
        }
        let seen = stranger.is_still_kept("", drained).await;
        assert_eq!(strangers.differ(&seen), NOTHING, "{what}: another owner");
        done(&self.t, v1::ClearCacheRequest {}).await;
        for (user, seen) in USERS.iter().zip(&after) {
            let there_is = answers(&self.t, user).await;
            assert_eq!(there_is.sources, ["database"; 3]);
            assert_eq!(
                there_is.differ(seen),
                NOTHING,
                "{what}: {user:?} saw {seen:?}, and there is {there_is:?}"
            );
        }
        came
    }
}

/// What changes for ana changes for the owner, and not for bob.
fn hers(changes: [bool; 3]) -> [[bool; 3]; 3] {
    [changes, changes, NOTHING]
}

fn of_ana(request: v1::SendMessageRequest) -> v1::SendMessageRequest {
    v1::SendMessageRequest {
        user: "ana".to_owned(),
        ..request
    }
}

/// Conversations come and change.
async fn conversations(world: &World, pair: &Pair) {
    let list_and_stats = [true, true, false];
    let created = async |t: &Caller| {
        let mut create = make::create_chat("");
        if let Some(conversation) = &mut create.conversation {
            conversation.user = "ana".to_owned();
        }
        t.ok(create).await.id
    };
    let empty = world
        .when("create a conversation", hers(list_and_stats), created)
        .await;
    let received = async |t: &Caller| {
        let came = v1::ReceiveMessageRequest {
            user: "ana".to_owned(),
            ..make::from_them(pair, "hello back")
        };
        t.ok(came).await.conversation_id
    };
    let talk = world.when("receive", hers(ALL), received).await;
    let read = v1::MarkAsReadRequest {
        id: talk.clone(),
        up_to_sequence: 0,
    };
    let unread = v1::MarkAsUnreadRequest { id: talk.clone() };
    let read = async |t: &Caller| t.ok(read).await;
    world.when("mark as read", hers(list_and_stats), read).await;
    let unread = async |t: &Caller| t.ok(unread).await;
    world
        .when("mark as unread", hers(list_and_stats), unread)
        .await;
    let rename = async |t: &Caller| {
        t.ok(make::edit(&talk, &["title"], |c| {
            c.title = "hello".to_owned();
        }))
        .await
    };
    world
        .when("rename", hers([true, false, true]), rename)
        .await;
    let data = async |t: &Caller| {
        t.ok(make::edit(&talk, &["metadata"], |c| {
            c.metadata = Some(make::json("a", "b"));
        }))
        .await
    };
    world
        .when("set data", hers([true, false, false]), data)
        .await;
    let archive = async |t: &Caller| {
        t.ok(make::set_status(&talk, v1::ConversationStatus::Archived))
            .await
    };
    world.when("archive", hers(list_and_stats), archive).await;
    // Both who had it and who has it; that it is another's shows in the owner's list.
    let given = [[true, false, false], ALL, ALL];
    let give = async |t: &Caller| {
        t.ok(make::edit(&talk, &["user"], |c| c.user = "bob".to_owned()))
            .await
    };
    world.when("give to another user", given, give).await;
    let back = async |t: &Caller| {
        t.ok(make::edit(&talk, &["user"], |c| c.user = "ana".to_owned()))
            .await
    };
    world.when("give back", given, back).await;
    let delete = async |t: &Caller| t.ok(make::delete_conversation(&talk)).await;
    world.when("delete a conversation", hers(ALL), delete).await;
    let delete = async |t: &Caller| t.ok(make::delete_conversation(&empty)).await;
    world
        .when("delete an empty one", hers(list_and_stats), delete)
        .await;
}

/// Messages come and change.
async fn messages(world: &World, pair: &Pair) {
    let stats_and_search = [false, true, true];
    let said = async |t: &Caller| t.ok(of_ana(make::chat("talk", "hello"))).await;
    let said = world.when("send the first", hers(ALL), said).await;
    let more = async |t: &Caller| {
        t.ok(make::reply(&said.conversation_id, "hello again"))
            .await
    };
    let more = world.when("send", hers(ALL), more).await;
    let edit = async |t: &Caller| {
        t.ok(make::edit_message(&more.id, &["body"], |m| {
            m.body = "goodbye".to_owned();
        }))
        .await
    };
    world.when("edit", hers([false, false, true]), edit).await;
    let later = v1::SendMessageRequest {
        send_at: Some(make::far(0)),
        ..of_ana(make::sms(pair, "hello later"))
    };
    let later = async |t: &Caller| t.ok(later).await;
    let later = world.when("schedule", hers(ALL), later).await;
    let cancel = async |t: &Caller| t.ok(make::cancel(&later.id)).await;
    world.when("cancel", hers(stats_and_search), cancel).await;
    let sent = async |t: &Caller| t.ok(of_ana(make::sms(pair, "hello now"))).await;
    let sent = world.when("send a text", hers(ALL), sent).await;
    let report = async |t: &Caller| {
        t.ok(make::report(&sent.id, v1::MessageStatus::Delivered))
            .await
    };
    world.when("report", hers(stats_and_search), report).await;
    let delete = async |t: &Caller| t.ok(make::delete_message(&sent.id)).await;
    world.when("delete a message", hers(ALL), delete).await;
    // What is said again, or is refused, changes nothing.
    let again = async |t: &Caller| t.ok(make::cancel(&later.id)).await;
    world.when_unchanged("cancel again", again).await;
    let refused = async |t: &Caller| {
        t.refused(make::report(&later.id, v1::MessageStatus::Read))
            .await
    };
    world
        .when_unchanged("report about what was canceled", refused)
        .await;
}

impl World {
    /// What is said again may end what is kept, for ana's sake and the owner's, but not change it.
    async fn when_unchanged<T>(&self, what: &str, act: impl AsyncFnOnce(&Caller) -> T) {
        let drained = self.drained().await;
        let (before, bobs) = (self.kept("ana").await, self.kept("bob").await);
        act(&self.t).await;
        assert_eq!(
            before.differ(&answers(&self.t, "ana").await),
            NOTHING,
            "{what}"
        );
        let seen = self.is_still_kept("bob", drained).await;
        assert_eq!(bobs.differ(&seen), NOTHING, "{what}");
    }
}

/// A list of one address is its user's as any other, whether a sender has the address or not.
async fn addresses(world: &World, pair: &Pair) {
    let t = &world.t;
    let list = |user: &str| v1::ListConversationsRequest {
        participant: pair.ours.clone(),
        user: user.to_owned(),
        ..Default::default()
    };
    let came = async |user: &str, from: &str| {
        let pair = Pair {
            theirs: from.to_owned(),
            ..pair.clone()
        };
        let came = v1::ReceiveMessageRequest {
            user: user.to_owned(),
            ..make::from_them(&pair, "hello")
        };
        t.ok(came).await
    };
    came("ana", &pair.theirs).await;
    came("bob", &make::phone()).await;
    until_from(t, list("ana"), world.tier).await;
    came("ana", &make::phone()).await;
    assert_eq!(t.ok(list("ana")).await.conversations.len(), 2);
    done(t, v1::ClearCacheRequest {}).await;
    until_from(t, list("bob"), world.tier).await;
    let his = scope(t, &format!("{} bob", t.owner())).await;
    let his = of_pattern(&format!("conversations:{{{his}}}:*"));
    assert_eq!(done(t, his).await.invalidated, 1, "it is of his scope");
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

async fn each_action_changes_what_it_should(kind: Kind, backend: &'static str) {
    let redis = (backend == "redis").then(Redis::start);
    let service = Service::start_with(kind, |builder| {
        let builder = builder.env("CACHE_BACKEND", backend);
        match &redis {
            Some(redis) => builder.redis_url(redis.url()),
            None => builder,
        }
    })
    .await;
    let world = World {
        t: Caller::at(&service),
        tier: backend,
    };
    let bobs = v1::SendMessageRequest {
        user: "bob".to_owned(),
        ..make::chat("bobs", "hello, says bob")
    };
    world.t.ok(bobs).await;
    conversations(&world, &world.t.pair().await).await;
    messages(&world, &world.t.pair().await).await;
    addresses(&world, &world.t.pair().await).await;
}

#[tokio::test]
async fn each_action_changes_what_it_should_in_memory() {
    each_action_changes_what_it_should(Kind::Sqlite, "memory").await;
    each_action_changes_what_it_should(Kind::Postgres, "memory").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_action_changes_what_it_should_in_redis() {
    each_action_changes_what_it_should(Kind::Sqlite, "redis").await;
    each_action_changes_what_it_should(Kind::Postgres, "redis").await;
}

/// As an operator finds it out.
async fn scope(t: &Caller, of: &str) -> String {
    let info = t.ok(v1::GetCacheInfoRequest {}).await;
    let of = format!("{} {of}", info.installation);
    let shell = format!("printf '%s' '{of}' | sha256sum | cut -c1-32");
    let said = Command::new("sh").args(["-c", &shell]).output();
    let said = String::from_utf8(said.expect("a shell").stdout);
    said.expect("a number").trim_end().to_owned()
}

#[tokio::test]
async fn they_are_counted_named_and_made_to_go() {
    let (_service, t) = in_memory().await;
    t.ok(make::chat("", "hello")).await;
    let world = World {
        t: t.clone(),
        tier: "memory",
    };
    world.kept("").await;
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
        assert_eq!(t.ok(of_pattern(pattern)).await.invalidated, 1);
        assert_eq!(answers(&t, "").await.sources, expected);
    }
    world.kept("").await;
    let scope = scope(&t, t.owner()).await;
    assert_eq!(
        t.ok(of_keys(&[format!("stats:{{{scope}}}")]))
            .await
            .invalidated,
        1
    );
    assert_eq!(
        answers(&t, "").await.sources,
        ["memory", "database", "memory"]
    );
    // The generation is no value, and all that was kept goes with it.
    world.kept("").await;
    assert_eq!(
        t.ok(of_keys(&[format!("generation:{{{scope}}}")]))
            .await
            .invalidated,
        0
    );
    assert_eq!(answers(&t, "").await.sources, ["database"; 3]);
}
