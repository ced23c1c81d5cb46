//! Dispatchers: on the test's runtime, or on one of their own that can be killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use parlance_app::delivery::{AttemptResult, DeliveryObserver, Pace, ProviderRegistry};
use parlance_app::{App, Environment, Random, Settings};
use parlance_domain::Channel;
use parlance_storage::Database;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::{SOON, TestClock, Wire, World};

/// A dispatcher.
pub(crate) struct Dispatcher {
    pub(crate) app: Arc<App>,
    pub(crate) wire: Arc<Wire>,
    clock: TestClock,
    pen: Pen,
    runtime: Option<Runtime>,
    running: JoinHandle<()>,
}

impl World {
    /// One more dispatcher on the test's runtime.
    pub(crate) async fn dispatcher(&self, pace: Pace) -> Dispatcher {
        let db = self.database_for_another().await;
        self.start(db, pace, None)
    }

    /// One that can be killed: it has a runtime and connections of its own.
    pub(crate) async fn mortal(&self, pace: Pace) -> Dispatcher {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let settings = self.db.settings.clone();
        let opening = runtime.spawn(async move { Database::open(&settings).await });
        let db = opening.await.unwrap().unwrap();
        self.start(db, pace, Some(runtime))
    }

    fn start(&self, db: Database, pace: Pace, runtime: Option<Runtime>) -> Dispatcher {
        let pen = Pen::default();
        let clock = self.clock.another();
        let app = app(db, pace, &clock, pen.clone());
        let wire = Wire::to(&self.far);
        let carriers = ProviderRegistry::default().with_texts("fake", Arc::clone(&wire) as _);
        let dispatching = Arc::clone(&app).run_dispatcher(carriers, Arc::new(Nobody));
        let running = match &runtime {
            Some(runtime) => runtime.spawn(dispatching),
            None => tokio::spawn(dispatching),
        };
        Dispatcher {
            app,
            wire,
            clock,
            pen,
            runtime,
            running,
        }
    }
}

/// An instance of the service.
pub(crate) fn app(db: Database, pace: Pace, clock: &TestClock, random: impl Random) -> Arc<App> {
    let settings = Settings {
        providers: vec!["fake".to_owned()],
        pace,
        ..Settings::default()
    };
    let env = Environment::new(clock.clone(), random);
    let cache = parlance_app::cache::none(&db, &env);
    App::new(db, cache, settings, env)
}

impl Dispatcher {
    /// It ends as a process that is killed: nothing of it runs on, and its connections are gone.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
        self.pen.break_off();
    }

    /// Holds the scribe in the middle of its next transaction.
    pub(crate) fn hold_scribe(&self) {
        self.pen.stop.store(true, Ordering::SeqCst);
    }

    /// Whether the scribe is held.
    pub(crate) async fn until_scribe_is_held(&self) {
        parlance_testkit::eventually(SOON, async || self.pen.is_held().then_some(())).await;
    }

    /// It has looked at the clock twice more: what it tries again and again, it has tried.
    pub(crate) async fn until_tried_again(&self) {
        let enough = self.clock.read() + 2;
        parlance_testkit::eventually(SOON, async || (self.clock.read() >= enough).then_some(()))
            .await;
    }

    /// It is told to go down; returns when it has.
    pub(crate) async fn go_down(mut self) {
        self.app.go_down();
        let ended = tokio::time::timeout(SOON, &mut self.running).await;
        ended.expect("it goes down").unwrap();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.app.go_down();
        self.pen.break_off();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Randomness; asked for by the scribe alone in an instance that only dispatches, so it is where a scribe can be held: it has
/// locked its message then and written nothing.
#[derive(Clone, Default)]
pub(crate) struct Pen {
    stop: Arc<AtomicBool>,
    state: Arc<(Mutex<Held>, Condvar)>,
}

#[derive(Default)]
struct Held {
    held: bool,
    broken: bool,
}

impl Pen {
    fn is_held(&self) -> bool {
        self.state.0.lock().unwrap().held
    }

    /// Whoever is held never goes on.
    fn break_off(&self) {
        self.state.0.lock().unwrap().broken = true;
        self.state.1.notify_all();
    }

    fn wait(&self) {
        let mut state = self.state.0.lock().unwrap();
        state.held = true;
        let (state, _) = self
            .state
            .1
            .wait_timeout_while(state, Duration::from_mins(10), |state| !state.broken)
            .unwrap();
        drop(state);
        // Without words on the console: it is meant.
        std::panic::resume_unwind(Box::new("killed"));
    }
}

impl Random for Pen {
    fn fill(&self, bytes: &mut [u8]) {
        if self.stop.load(Ordering::SeqCst) {
            self.wait();
        }
        parlance_app::SystemRandom.fill(bytes);
    }
}

struct Nobody;

impl DeliveryObserver for Nobody {
    fn handed_over(&self, _: Channel, _: Duration) {}

    fn attempted(&self, _: Channel, _: AttemptResult) {}
}
