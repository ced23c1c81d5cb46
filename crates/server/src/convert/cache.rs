//! The cache, as operators see it.

use parlance_app::Result;
use parlance_app::cache::{CacheInfo, GateView, Invalidation, RedisState, TierStats, Warm, Warmed};
use parlance_cache::redis::BreakerState;
use parlance_cache::{Key, MemoryStatus, RemoteStats};
use parlance_domain::ConversationId;
use parlance_proto::v1;

use super::fields::Found;
use super::limits;
use super::time::duration_to_proto;

/// A number as the contract has it.
pub(crate) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `InvalidateCache`.
pub(crate) fn invalidation(request: v1::InvalidateCacheRequest) -> Result<Invalidation> {
    let mut found = Found::new();
    let v1::InvalidateCacheRequest { keys, pattern } = request;
    let what = match (keys.is_empty(), pattern.is_empty()) {
        (true, true) => {
            found.push("keys", "required, or a pattern; give one of them");
            None
        }
        (false, false) => {
            found.push("pattern", "has no meaning beside keys; give one of them");
            None
        }
        (true, false) => read_pattern(&mut found, pattern).map(Invalidation::Pattern),
        (false, true) => read_keys(&mut found, &keys).map(Invalidation::Keys),
    };
    found.finish(|| what)
}

fn read_keys(found: &mut Found, keys: &[String]) -> Option<Vec<Key>> {
    if keys.len() > limits::CACHE_KEYS {
        found.push(
            "keys",
            format!("at most {}; split them", limits::CACHE_KEYS),
        );
        return None;
    }
    let mut read = Vec::with_capacity(keys.len());
    for (index, key) in keys.iter().enumerate() {
        match Key::parse(key) {
            Some(key) => read.push(key),
            None => found.push(
                format!("keys[{index}]"),
                "not the name of a value; give message:<id>, conversation:<id> or conversation:<id>:messages",
            ),
        }
    }
    Some(read)
}

/// What Redis would take for more than a plain character is in none of our names.
fn read_pattern(found: &mut Found, pattern: String) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ":-{}*?".contains(c);
    if pattern.chars().all(plain) && pattern.len() <= limits::CACHE_PATTERN {
        return Some(pattern);
    }
    found.push(
        "pattern",
        "not a pattern of names; give one of lower-case letters, digits, colons, hyphens, braces, * and ?, such as message:*",
    );
    None
}

/// `WarmCache`.
pub(crate) fn warm(request: v1::WarmCacheRequest) -> Result<Warm> {
    let mut found = Found::new();
    let v1::WarmCacheRequest {
        user,
        conversation_ids,
        hottest,
    } = request;
    let given = [!user.is_empty(), !conversation_ids.is_empty(), hottest != 0];
    let given = given.into_iter().filter(|given| *given).count();
    if given != 1 {
        found.push(
            "hottest",
            "give exactly one of user, conversation_ids and hottest",
        );
    }
    found.text("user", &user, limits::USER);
    let ids = read_ids(&mut found, &conversation_ids);
    let most = usize::try_from(hottest).ok();
    if most.is_none_or(|most| most > limits::WARM) {
        found.push("hottest", format!("must be from 1 to {}", limits::WARM));
    }
    found.finish(|| {
        Some(if !user.is_empty() {
            Warm::User(user)
        } else if ids.is_empty() {
            Warm::Hottest(most?)
        } else {
            Warm::Conversations(ids)
        })
    })
}

fn read_ids(found: &mut Found, ids: &[String]) -> Vec<ConversationId> {
    if ids.len() > limits::WARM {
        let most = limits::WARM;
        found.push("conversation_ids", format!("at most {most}; split them"));
        return Vec::new();
    }
    let ids = ids.iter().enumerate();
    ids.filter_map(|(index, id)| {
        let field = format!("conversation_ids[{index}]");
        found.id(field, id, ConversationId::parse)
    })
    .collect()
}

/// What was warmed.
pub(crate) fn warmed_to_proto(warmed: Warmed) -> v1::WarmCacheResponse {
    let Warmed {
        conversations,
        messages,
    } = warmed;
    v1::WarmCacheResponse {
        warmed: count(conversations),
        warmed_messages: count(messages),
    }
}

/// What has been counted.
pub(crate) fn stats_to_proto(stats: Vec<TierStats>) -> v1::GetCacheStatsResponse {
    v1::GetCacheStatsResponse {
        tiers: stats.into_iter().map(tier_to_proto).collect(),
    }
}

fn tier_to_proto(stats: TierStats) -> v1::CacheTierStats {
    let hit_rate = stats.hit_rate();
    let TierStats {
        tier,
        kind,
        hits,
        misses,
        errors,
        fills,
        invalidations,
        held:
            MemoryStatus {
                entries,
                bytes,
                evictions,
            },
    } = stats;
    v1::CacheTierStats {
        tier: tier.as_str().to_owned(),
        kind: kind.as_str().to_owned(),
        hits: count(hits),
        misses: count(misses),
        errors: count(errors),
        hit_rate,
        entries: count(entries),
        bytes: count(bytes),
        evictions: count(evictions),
        fills: count(fills),
        invalidations: count(invalidations),
    }
}

/// How the cache is and does.
pub(crate) fn info_to_proto(info: CacheInfo) -> v1::GetCacheInfoResponse {
    let CacheInfo {
        backend,
        note,
        redis,
        gate,
        gate_reason,
        guarantee,
        max_staleness,
        epoch,
        pending_rows,
        drained_ago,
        tracking_live,
        audit_checked,
        audit_violations,
        installation,
    } = info;
    let breaker = redis.map_or("", |redis| match redis.breaker {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
    });
    let gate = match gate {
        GateView::None => "none",
        GateView::Open => "open",
        GateView::Shut => "shut",
    };
    v1::GetCacheInfoResponse {
        backend: backend.as_str().to_owned(),
        backend_note: note,
        redis_reachable: redis.is_some_and(|redis| redis.reachable),
        breaker: breaker.to_owned(),
        gate: gate.to_owned(),
        gate_reason,
        guarantee,
        max_staleness: Some(duration_to_proto(max_staleness)),
        epoch: epoch.unwrap_or_default(),
        pending_rows: count(pending_rows),
        drained_ago: drained_ago.map(duration_to_proto),
        tracking_live,
        redis: redis.and_then(redis_to_proto),
        audit_checked: count(audit_checked),
        audit_violations: count(audit_violations),
        installation: installation.simple().to_string(),
    }
}

fn redis_to_proto(redis: RedisState) -> Option<v1::RedisInfo> {
    let RedisState {
        stats,
        reachable: _,
        breaker: _,
    } = redis;
    let RemoteStats {
        used_bytes,
        max_bytes,
        evicted,
        keys,
    } = stats?;
    Some(v1::RedisInfo {
        used_bytes: count(used_bytes),
        max_bytes: count(max_bytes),
        evicted_keys: count(evicted),
        keys: count(keys),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::testing::wrong;

    const ID: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

    fn invalidate(keys: &[&str], pattern: &str) -> Result<Invalidation> {
        invalidation(v1::InvalidateCacheRequest {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            pattern: pattern.to_owned(),
        })
    }

    #[test]
    fn only_names_of_values_are_taken() {
        let of_all_kinds = [
            format!("message:{ID}"),
            format!("conversation:{ID}"),
            format!("conversation:{ID}:messages"),
        ];
        let keys = of_all_kinds.each_ref().map(String::as_str);
        let Invalidation::Keys(read) = invalidate(&keys, "").unwrap() else {
            panic!("keys")
        };
        let names: Vec<String> = read.iter().map(ToString::to_string).collect();
        assert_eq!(names, of_all_kinds);

        let lease = format!("lease:{{message:{ID}}}");
        let not_ours = [keys[0], &lease, "session:1", ""];
        let fields = wrong(invalidate(&not_ours, ""));
        assert_eq!(fields, ["keys[1]", "keys[2]", "keys[3]"]);
        let many = vec![keys[0]; limits::CACHE_KEYS + 1];
        assert_eq!(wrong(invalidate(&many, "")), ["keys"]);
    }

    #[test]
    fn a_pattern_means_the_same_everywhere() {
        for good in [
            "*",
            "message:*",
            "conversation:*:messages",
            "message:?1-*",
            "conversations:{*}:*",
        ] {
            let expected = Invalidation::Pattern(good.to_owned());
            assert_eq!(invalidate(&[], good).unwrap(), expected);
        }
        let long = "*".repeat(limits::CACHE_PATTERN + 1);
        for bad in ["message:[ab]*", "a\\*", "MESSAGE:*", "a b", &long] {
            assert_eq!(wrong(invalidate(&[], bad)), ["pattern"], "{bad}");
        }
    }

    #[test]
    fn keys_or_a_pattern() {
        assert_eq!(wrong(invalidate(&[], "")), ["keys"]);
        assert_eq!(
            wrong(invalidate(&[&format!("message:{ID}")], "*")),
            ["pattern"]
        );
    }

    #[test]
    fn one_thing_is_warmed() {
        let of = |user: &str, ids: &[&str], hottest| {
            warm(v1::WarmCacheRequest {
                user: user.to_owned(),
                conversation_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
                hottest,
            })
        };
        assert_eq!(of("ana", &[], 0).unwrap(), Warm::User("ana".to_owned()));
        assert_eq!(of("", &[], 7).unwrap(), Warm::Hottest(7));
        let id = ConversationId::parse(ID).unwrap();
        assert_eq!(of("", &[ID], 0).unwrap(), Warm::Conversations(vec![id]));
        assert_eq!(wrong(of("", &[], 0)), ["hottest"]);
        assert_eq!(wrong(of("ana", &[ID], 0)), ["hottest"]);
        assert_eq!(wrong(of("", &[], -1)), ["hottest"]);
        assert_eq!(wrong(of("", &[], 1_001)), ["hottest"]);
        assert_eq!(wrong(of("", &[ID, "x"], 0)), ["conversation_ids[1]"]);
        assert_eq!(wrong(of("", &vec![ID; 1_001], 0)), ["conversation_ids"]);
    }
}
