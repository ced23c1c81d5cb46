//! Requests and replies of `CacheService`.

use parlance_app::Result;
use parlance_app::cache_admin::{
    CacheInfo, GateView, Invalidation, RedisState, TierStats, Warm, Warmed,
};
use parlance_cache::{BreakerState, Key, MemoryStatus, RemoteStats};
use parlance_domain::ConversationId;
use parlance_proto::v1;

use super::fields::Violations;
use super::limits;
use super::time::duration_to_proto;

/// Converts a count to the signed type of the contract.
pub(crate) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `InvalidateCache`.
pub(crate) fn invalidation(request: v1::InvalidateCacheRequest) -> Result<Invalidation> {
    let mut violations = Violations::new();
    let v1::InvalidateCacheRequest { keys, pattern } = request;
    let what = match (keys.is_empty(), pattern.is_empty()) {
        (true, true) => {
            violations.push("keys", "required unless pattern is set; set one of them");
            None
        }
        (false, false) => {
            violations.push(
                "pattern",
                "must not be set together with keys; set one of them",
            );
            None
        }
        (true, false) => read_pattern(&mut violations, pattern).map(Invalidation::Pattern),
        (false, true) => read_keys(&mut violations, &keys).map(Invalidation::Keys),
    };
    violations.finish(|| what)
}

fn read_keys(violations: &mut Violations, keys: &[String]) -> Option<Vec<Key>> {
    if keys.len() > limits::CACHE_KEYS {
        violations.push(
            "keys",
            format!("at most {} keys; use several requests", limits::CACHE_KEYS),
        );
        return None;
    }
    let mut read = Vec::with_capacity(keys.len());
    for (index, key) in keys.iter().enumerate() {
        match Key::parse(key) {
            Some(key) => read.push(key),
            None => violations.push(
                format!("keys[{index}]"),
                "not a cache key; use message:<id>, conversation:<id> or conversation:<id>:messages",
            ),
        }
    }
    Some(read)
}

/// Accepts only characters that occur in keys, and the two wildcards: others have a meaning in patterns of Redis, which
/// the memory tier does not have.
fn read_pattern(violations: &mut Violations, pattern: String) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ":-{}*?".contains(c);
    if pattern.chars().all(plain) && pattern.len() <= limits::CACHE_PATTERN {
        return Some(pattern);
    }
    violations.push(
        "pattern",
        "not a pattern of cache keys; use lower-case letters, digits, colons, hyphens, braces, * and ?, such as message:*",
    );
    None
}

/// `WarmCache`.
pub(crate) fn warm(request: v1::WarmCacheRequest) -> Result<Warm> {
    let mut violations = Violations::new();
    let v1::WarmCacheRequest {
        user,
        conversation_ids,
        hottest,
    } = request;
    let given = [!user.is_empty(), !conversation_ids.is_empty(), hottest != 0];
    let given = given.into_iter().filter(|given| *given).count();
    if given != 1 {
        violations.push(
            "hottest",
            "set exactly one of user, conversation_ids and hottest",
        );
    }
    violations.text("user", &user, limits::USER);
    let ids = read_ids(&mut violations, &conversation_ids);
    let most = usize::try_from(hottest).ok();
    if most.is_none_or(|most| most > limits::WARM) {
        violations.push("hottest", format!("must be from 1 to {}", limits::WARM));
    }
    violations.finish(|| {
        Some(if !user.is_empty() {
            Warm::User(user)
        } else if ids.is_empty() {
            Warm::Hottest(most?)
        } else {
            Warm::Conversations(ids)
        })
    })
}

fn read_ids(violations: &mut Violations, ids: &[String]) -> Vec<ConversationId> {
    if ids.len() > limits::WARM {
        let most = limits::WARM;
        violations.push(
            "conversation_ids",
            format!("at most {most} ids; use several requests"),
        );
        return Vec::new();
    }
    let ids = ids.iter().enumerate();
    ids.filter_map(|(index, id)| {
        let field = format!("conversation_ids[{index}]");
        violations.id(field, id, ConversationId::parse)
    })
    .collect()
}

/// Converts the counts of a warm-up.
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

/// Converts the statistics of the tiers.
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

/// Converts the state of the cache.
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
    use crate::convert::testing::rejected_fields;

    const ID: &str = "0192f0c1-2345-7abc-8def-0123456789ab";

    fn invalidate(keys: &[&str], pattern: &str) -> Result<Invalidation> {
        invalidation(v1::InvalidateCacheRequest {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            pattern: pattern.to_owned(),
        })
    }

    #[test]
    fn only_keys_of_values_are_accepted() {
        let all_kinds = [
            format!("message:{ID}"),
            format!("conversation:{ID}"),
            format!("conversation:{ID}:messages"),
        ];
        let keys = all_kinds.each_ref().map(String::as_str);
        let Invalidation::Keys(read) = invalidate(&keys, "").unwrap() else {
            panic!("keys")
        };
        let names: Vec<String> = read.iter().map(ToString::to_string).collect();
        assert_eq!(names, all_kinds);

        let lease = format!("lease:{{message:{ID}}}");
        let unknown = [keys[0], &lease, "session:1", ""];
        let fields = rejected_fields(invalidate(&unknown, ""));
        assert_eq!(fields, ["keys[1]", "keys[2]", "keys[3]"]);
        let many = vec![keys[0]; limits::CACHE_KEYS + 1];
        assert_eq!(rejected_fields(invalidate(&many, "")), ["keys"]);
    }

    #[test]
    fn a_pattern_means_the_same_in_every_tier() {
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
            assert_eq!(rejected_fields(invalidate(&[], bad)), ["pattern"], "{bad}");
        }
    }

    #[test]
    fn keys_and_pattern_exclude_each_other() {
        assert_eq!(rejected_fields(invalidate(&[], "")), ["keys"]);
        assert_eq!(
            rejected_fields(invalidate(&[&format!("message:{ID}")], "*")),
            ["pattern"]
        );
    }

    #[test]
    fn exactly_one_selection_is_warmed() {
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
        assert_eq!(rejected_fields(of("", &[], 0)), ["hottest"]);
        assert_eq!(rejected_fields(of("ana", &[ID], 0)), ["hottest"]);
        assert_eq!(rejected_fields(of("", &[], -1)), ["hottest"]);
        assert_eq!(rejected_fields(of("", &[], 1_001)), ["hottest"]);
        assert_eq!(
            rejected_fields(of("", &[ID, "x"], 0)),
            ["conversation_ids[1]"]
        );
        assert_eq!(
            rejected_fields(of("", &vec![ID; 1_001], 0)),
            ["conversation_ids"]
        );
    }
}
