//! What is broken, when, and for how long: the same for every protocol at the same moment.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::rig::Rig;

/// Nothing is broken before the first fault.
const CALM: Duration = Duration::from_secs(4);
/// After each fault. Ours begins to serve again within two seconds.
const AFTER: Duration = Duration::from_millis(2_500);
/// How long Redis is gone.
const GONE: Duration = Duration::from_secs(1);
/// Longer than anybody waits for Redis, and shorter than it takes to doubt it.
const STILL: Duration = Duration::from_millis(300);
/// Longer than a reader may take from its lease to its fill.
const LONGER_THAN_A_LEASE: Duration = Duration::from_millis(2_500);
/// Longer than a writer may take from its fence to its release.
const LONGER_THAN_A_FENCE: Duration = Duration::from_secs(11);
/// How long an instance is without Redis.
const CUT_OFF: Duration = Duration::from_secs(6);

/// What is going on, for whoever watches.
#[derive(Debug)]
pub(crate) struct Stage(watch::Sender<Option<&'static str>>);

impl Default for Stage {
    fn default() -> Self {
        Self(watch::Sender::new(Some("nothing is broken")))
    }
}

impl Stage {
    pub(crate) fn say(&self, what: &'static str) {
        self.0.send_replace(Some(what));
    }

    /// There is nothing more to watch.
    pub(crate) fn end(&self) {
        self.0.send_replace(None);
    }

    /// `None` when it has ended.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<&'static str>> {
        self.0.subscribe()
    }
}

/// All of it.
pub(crate) async fn play(rigs: &mut [Rig], stage: &Stage) {
    sleep(CALM).await;
    redis_is_killed(rigs, stage).await;
    stage.say("an instance stands still amid writes, longer than a lease");
    stop(rigs, 2).await;
    sleep(LONGER_THAN_A_LEASE).await;
    resume(rigs, 2);
    calm(stage).await;
    stage.say("an instance stands still amid writes, longer than a fence");
    stop(rigs, 0).await;
    tokio::join!(sleep(LONGER_THAN_A_FENCE), redis_stands_still(rigs, stage));
    resume(rigs, 0);
    calm(stage).await;
    instance_is_killed(rigs, stage).await;
    instance_is_cut_off(rigs, stage).await;
}

async fn calm(stage: &Stage) {
    stage.say("nothing is broken any more");
    sleep(AFTER).await;
}

async fn redis_is_killed(rigs: &[Rig], stage: &Stage) {
    stage.say("Redis is killed");
    for rig in rigs {
        rig.cluster.redis.kill9();
    }
    sleep(GONE).await;
    stage.say("Redis starts again, empty");
    join_all(rigs.iter().map(|rig| rig.cluster.redis.restart())).await;
    sleep(AFTER).await;
}

/// While an instance does, too, and after the others have had some time alone.
async fn redis_stands_still(rigs: &[Rig], stage: &Stage) {
    sleep(CALM).await;
    for _ in 0..3 {
        stage.say("Redis stands still, too, for 300 ms");
        for rig in rigs {
            rig.cluster.redis.pause();
        }
        sleep(STILL).await;
        for rig in rigs {
            rig.cluster.redis.resume();
        }
        stage.say("an instance still stands still");
        sleep(GONE).await;
    }
}

async fn stop(rigs: &[Rig], instance: usize) {
    for rig in rigs {
        rig.load().until_writing(instance).await;
        rig.cluster.services[instance].stop();
    }
}

fn resume(rigs: &[Rig], instance: usize) {
    for rig in rigs {
        rig.cluster.services[instance].cont();
    }
}

async fn instance_is_killed(rigs: &mut [Rig], stage: &Stage) {
    let instance = 1;
    stage.say("an instance is killed amid writes, and starts again");
    for rig in &mut *rigs {
        rig.load().until_writing(instance).await;
        rig.cluster.services[instance].kill9();
    }
    let starting = rigs.iter_mut();
    join_all(starting.map(|rig| rig.cluster.services[instance].start_again())).await;
    calm(stage).await;
}

async fn instance_is_cut_off(rigs: &[Rig], stage: &Stage) {
    let instance = 2;
    stage.say("an instance is cut from Redis");
    for rig in rigs {
        rig.cluster.proxies[instance].cut();
    }
    sleep(CUT_OFF).await;
    for rig in rigs {
        rig.cluster.proxies[instance].heal();
    }
    calm(stage).await;
}
