//! The service's dispatcher with a provider that accepts everything at once, in a separate process so that its CPU time
//! can be measured.

pub(crate) mod throughput;
pub(crate) mod wait;

use std::sync::Arc;

use async_trait::async_trait;
use parlance_app::delivery::ProviderRegistry;
use parlance_app::{App, Clock as _, Environment, Settings, SystemClock};
use parlance_domain::{MessageId, Timestamp};
use parlance_providers::{Outcome, Provider, Text, TextProvider};
use parlance_storage::{Database, DatabaseUrl};
use tokio::sync::mpsc;

/// Provider of the senders in filled databases.
const PROVIDER: &str = "simulator";

/// A message that reached the provider, and the time.
type HandedOver = (MessageId, Timestamp);

/// Accepts everything at once.
struct NullProvider {
    handed_over: mpsc::UnboundedSender<HandedOver>,
}

#[async_trait]
impl TextProvider for NullProvider {
    async fn send_text(&self, text: Text) -> Outcome {
        let id = text.message_id();
        // The receiver is dropped if a measurement does not need the hand-overs.
        let _ = self.handed_over.send((id, SystemClock.now()));
        Outcome::Accepted {
            provider_message_id: id.to_string(),
        }
    }
}

fn registry() -> (ProviderRegistry, mpsc::UnboundedReceiver<HandedOver>) {
    let (sender, handed_over) = mpsc::unbounded_channel();
    let provider = NullProvider {
        handed_over: sender,
    };
    let registry = ProviderRegistry::default().with(Provider {
        texts: Some(Arc::new(provider)),
        ..Provider::new(PROVIDER)
    });
    (registry, handed_over)
}

/// Creates the service without its transport on an existing database.
pub(crate) async fn app(url: &str, settings: Settings) -> Arc<App> {
    let url = DatabaseUrl::parse(url).expect("the harness passes a URL");
    let database = Database::open(&parlance_storage::Settings::new(url)).await;
    let database = database.unwrap_or_else(|e| panic!("{e:?}"));
    let env = Environment::system();
    let cache = parlance_app::cache::none(&database, &env);
    App::new(database, cache, settings, env)
}
