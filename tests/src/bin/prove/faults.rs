//! The faults, in order and with their durations: every protocol gets the same faults at the same time.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::rig::Rig;

/// Time before the first fault.
const CALM: Duration = Duration::from_secs(4);
/// Time after each fault. Our protocol serves from the cache again within two seconds.
const AFTER: Duration = Duration::from_millis(2_500);
/// Downtime of a killed Redis.
const GONE: Duration = Duration::from_secs(1);
/// Pause of Redis: longer than any Redis time-out, shorter than the stall detector takes to report a stall.
const REDIS_PAUSE: Duration = Duration::from_millis(300);
/// Longer than a reader may take from its lease to its fill.
const LONGER_THAN_A_LEASE: Duration = Duration::from_millis(2_500);
/// Longer than a writer may take from its fence to its release.
const LONGER_THAN_A_FENCE: Duration = Duration::from_secs(11);
/// How long an instance has no connection to Redis.
const DISCONNECTED: Duration = Duration::from_secs(6);

/// The current fault, published to the screen.
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

    /// Ends the stream of faults.
    pub(crate) fn end(&self) {
        self.0.send_replace(None);
    }

    /// Receives `None` when the faults have ended.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<&'static str>> {
        self.0.subscribe()
    }
}

/// Plays all faults.
pub(crate) async fn play(rigs: &mut [Rig], stage: &Stage) {
    sleep(CALM).await;
    redis_is_killed(rigs, stage).await;
    stage.say("an instance is stopped during writes for longer than a lease");
    stop(rigs, 2).await;
    sleep(LONGER_THAN_A_LEASE).await;
    resume(rigs, 2);
    recover(stage).await;
    stage.say("an instance is stopped during writes for longer than a fence");
    stop(rigs, 0).await;
    tokio::join!(sleep(LONGER_THAN_A_FENCE), redis_is_paused(rigs, stage));
    resume(rigs, 0);
    recover(stage).await;
    instance_is_killed(rigs, stage).await;
    instance_is_disconnected(rigs, stage).await;
}

async fn recover(stage: &Stage) {
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

/// Pauses Redis while an instance is stopped, after the other instances have run alone for a while.
async fn redis_is_paused(rigs: &[Rig], stage: &Stage) {
    sleep(CALM).await;
    for _ in 0..3 {
        stage.say("Redis is stopped as well, for 300 ms");
        for rig in rigs {
            rig.cluster.redis.pause();
        }
        sleep(REDIS_PAUSE).await;
        for rig in rigs {
            rig.cluster.redis.resume();
        }
        stage.say("the instance is still stopped");
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
    stage.say("an instance is killed during writes and restarts");
    for rig in &mut *rigs {
        rig.load().until_writing(instance).await;
        rig.cluster.services[instance].kill9();
    }
    let starting = rigs.iter_mut();
    join_all(starting.map(|rig| rig.cluster.services[instance].start_again())).await;
    recover(stage).await;
}

async fn instance_is_disconnected(rigs: &[Rig], stage: &Stage) {
    let instance = 2;
    stage.say("an instance loses its connection to Redis");
    for rig in rigs {
        rig.cluster.proxies[instance].cut();
    }
    sleep(DISCONNECTED).await;
    for rig in rigs {
        rig.cluster.proxies[instance].heal();
    }
    recover(stage).await;
}
