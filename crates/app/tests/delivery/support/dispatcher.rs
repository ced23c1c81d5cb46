//! Dispatchers on the test's runtime, or on a runtime of their own that can be killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use parlance_app::delivery::{AttemptResult, DeliveryObserver, Pace, ProviderRegistry};
use parlance_app::{App, Environment, Random, Settings};
use parlance_domain::Channel;
use parlance_providers::Provider;
use parlance_storage::Database;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::{SOON, TestClock, Wire, World};

/// The provider's name.
pub(crate) const NAME: &str = "fake";

/// A running dispatcher.
pub(crate) struct Dispatcher {
    pub(crate) app: Arc<App>,
    pub(crate) wire: Arc<Wire>,
    clock: TestClock,
    outcome_writer_hold: OutcomeWriterHold,
    runtime: Option<Runtime>,
    running: JoinHandle<()>,
}

impl World {
    /// Starts another dispatcher on the test's runtime.
    pub(crate) async fn dispatcher(&self, pace: Pace) -> Dispatcher {
        let db = self.database_for_another().await;
        self.start(db, pace, None)
    }

    /// Starts a dispatcher that can be killed: it has its own runtime and connections.
    pub(crate) async fn killable_dispatcher(&self, pace: Pace) -> Dispatcher {
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
        let outcome_writer_hold = OutcomeWriterHold::default();
        let clock = self.clock.another();
        let wire = Wire::to(&self.provider);
        let app = app(db, pace, &clock, outcome_writer_hold.clone(), &wire);
        let dispatching = Arc::clone(&app).run_dispatcher(Arc::new(NoObserver));
        let running = match &runtime {
            Some(runtime) => runtime.spawn(dispatching),
            None => tokio::spawn(dispatching),
        };
        Dispatcher {
            app,
            wire,
            clock,
            outcome_writer_hold,
            runtime,
            running,
        }
    }
}

/// Creates an instance of the service.
pub(crate) fn app(
    db: Database,
    pace: Pace,
    clock: &TestClock,
    random: impl Random,
    wire: &Arc<Wire>,
) -> Arc<App> {
    let fake = Provider {
        texts: Some(Arc::clone(wire) as _),
        look_up: Some(Arc::clone(wire) as _),
        ..Provider::new(NAME)
    };
    let settings = Settings {
        providers: ProviderRegistry::default().with(fake),
        open_senders: Some(NAME.to_owned()),
        pace,
        ..Settings::default()
    };
    let env = Environment::new(clock.clone(), random);
    let cache = parlance_app::cache::none(&db, &env);
    App::new(db, cache, settings, env)
}

impl Dispatcher {
    /// Ends it like a killed process: no code of it continues, and its connections close.
    pub(crate) fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
        self.outcome_writer_hold.abort();
    }

    /// Holds the outcome writer in the middle of its next transaction.
    pub(crate) fn hold_outcome_writer(&self) {
        self.outcome_writer_hold.stop.store(true, Ordering::SeqCst);
    }

    /// Waits until the outcome writer is held.
    pub(crate) async fn until_outcome_writer_is_held(&self) {
        parlance_testkit::eventually(SOON, async || {
            self.outcome_writer_hold.is_held().then_some(())
        })
        .await;
    }

    /// Waits until the clock was read twice more, so that operations that are retried were retried.
    pub(crate) async fn until_tried_again(&self) {
        let enough = self.clock.read() + 2;
        parlance_testkit::eventually(SOON, async || (self.clock.read() >= enough).then_some(()))
            .await;
    }

    /// Shuts it down and waits for its end.
    pub(crate) async fn go_down(mut self) {
        self.app.go_down();
        let ended = tokio::time::timeout(SOON, &mut self.running).await;
        ended.expect("the dispatcher shuts down").unwrap();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        self.app.go_down();
        self.outcome_writer_hold.abort();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Source of randomness that can hold the outcome writer. In an instance that only dispatches, only the outcome writer
/// uses randomness, and it does so after locking its message and before writing.
#[derive(Clone, Default)]
pub(crate) struct OutcomeWriterHold {
    stop: Arc<AtomicBool>,
    state: Arc<(Mutex<HoldState>, Condvar)>,
}

#[derive(Default)]
struct HoldState {
    held: bool,
    aborted: bool,
}

impl OutcomeWriterHold {
    fn is_held(&self) -> bool {
        self.state.0.lock().unwrap().held
    }

    /// Ends the hold; the held thread panics instead of continuing.
    fn abort(&self) {
        self.state.0.lock().unwrap().aborted = true;
        self.state.1.notify_all();
    }

    fn wait(&self) {
        let mut state = self.state.0.lock().unwrap();
        state.held = true;
        let (state, _) = self
            .state
            .1
            .wait_timeout_while(state, Duration::from_mins(10), |state| !state.aborted)
            .unwrap();
        drop(state);
        // Without a message on the console, because the panic is intended.
        std::panic::resume_unwind(Box::new("killed"));
    }
}

impl Random for OutcomeWriterHold {
    fn fill(&self, bytes: &mut [u8]) {
        if self.stop.load(Ordering::SeqCst) {
            self.wait();
        }
        parlance_app::SystemRandom.fill(bytes);
    }
}

struct NoObserver;

impl DeliveryObserver for NoObserver {
    fn handed_over(&self, _: Channel, _: Duration) {}

    fn attempted(&self, _: Channel, _: AttemptResult) {}
}
