//! Time and randomness as arguments, so that tests can supply their own.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use parlance_domain::Timestamp;
use rand::RngCore as _;
use uuid::Uuid;

/// Source of the present time.
pub trait Clock: Send + Sync + 'static {
    /// The present time.
    fn now(&self) -> Timestamp;
}

/// Source of random bytes.
pub trait Random: Send + Sync + 'static {
    /// Fills the bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// Clock and randomness of the application.
#[derive(Clone)]
pub struct Environment {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Environment {
    /// Environment with the given clock and randomness.
    pub fn new(clock: impl Clock, random: impl Random) -> Self {
        Self {
            clock: Arc::new(clock),
            random: Arc::new(random),
        }
    }

    /// Environment with the system's clock and randomness.
    pub fn system() -> Self {
        Self::new(SystemClock, SystemRandom)
    }

    /// The present time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns a generator of random numbers.
    pub fn random_numbers(&self) -> Arc<dyn Fn() -> u128 + Send + Sync> {
        let env = self.clone();
        Arc::new(move || env.random_uuid().as_u128())
    }

    /// Random UUID without a time.
    pub(crate) fn random_uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        Uuid::from_bytes(bytes)
    }

    /// The random part of an id.
    pub(crate) fn random(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        self.random.fill(&mut bytes);
        bytes
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that the rest of the code receives as an argument"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// The thread's generator, seeded by the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the randomness that the rest of the code receives as an argument"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}
