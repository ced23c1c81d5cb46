//! The product's dispatcher over a provider that does nothing, in a process of its own whose CPU time can be told.

pub(crate) mod throughput;
pub(crate) mod wait;

use std::sync::Arc;

use async_trait::async_trait;
use parlance_app::delivery::ProviderRegistry;
use parlance_app::{App, Clock as _, Environment, Settings, SystemClock};
use parlance_domain::{MessageId, Timestamp};
use parlance_providers::{Outcome, Text, TextProvider};
use parlance_storage::{Database, DatabaseUrl};
use tokio::sync::mpsc;

/// The provider of the senders that databases are filled with.
const PROVIDER: &str = "simulator";

/// What reached the provider, and when.
type HandedOver = (MessageId, Timestamp);

/// Takes everything at once.
struct Null {
    taken: mpsc::UnboundedSender<HandedOver>,
}

#[async_trait]
impl TextProvider for Null {
    async fn send_text(&self, text: Text) -> Outcome {
        let id = text.message_id;
        // Whoever does not listen does not want to know.
        let _ = self.taken.send((id, SystemClock.now()));
        Outcome::Accepted {
            provider_message_id: id.to_string(),
        }
    }
}

fn carriers() -> (ProviderRegistry, mpsc::UnboundedReceiver<HandedOver>) {
    let (taken, handed_over) = mpsc::unbounded_channel();
    let carriers = ProviderRegistry::default().with_texts(PROVIDER, Arc::new(Null { taken }));
    (carriers, handed_over)
}

/// The service without its transport, as it opens a database that is there.
pub(crate) async fn app(url: &str, settings: Settings) -> Arc<App> {
    let url = DatabaseUrl::parse(url).expect("the harness passes a URL");
    let database = Database::open(&parlance_storage::Settings::new(url)).await;
    let database = database.unwrap_or_else(|e| panic!("{e:?}"));
    let env = Environment::system();
    let cache = parlance_app::cache::none(&database, &env);
    App::new(database, cache, settings, env)
}
