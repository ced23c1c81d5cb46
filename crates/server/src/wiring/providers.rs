//! Provider registry. The only place that names the providers.

use std::net::SocketAddr;
use std::sync::Arc;

use parlance_app::Environment;
use parlance_app::delivery::ProviderRegistry;
use parlance_providers::simulator;
use parlance_providers::{EventRelay, Provider, ProviderContext, ProviderEvents};

use super::port::reachable;
use crate::config::Settings;

/// Creates a provider, or none if the settings do not configure it.
pub type Registration = fn(&Settings, &ProviderContext) -> Option<Provider>;

/// Every provider, one line each. The first one that carries a channel is the default of its senders, so the simulator is
/// the last.
const PROVIDERS: &[Registration] = &[|_, context| Some(simulator::provider(context))];

/// The configured providers, before the application exists that they report to.
pub(super) struct Providers {
    pub(super) registry: ProviderRegistry,
    /// To be connected to the application.
    pub(super) events: Arc<EventRelay>,
}

/// Creates the configured providers; `further` ones come first. Providers call this service at `http`.
pub(super) fn configured(
    settings: &Settings,
    further: &[Registration],
    http: SocketAddr,
    env: &Environment,
) -> Providers {
    let events = Arc::new(EventRelay::default());
    let env = env.clone();
    let context = ProviderContext {
        events: Arc::clone(&events) as Arc<dyn ProviderEvents>,
        now: Arc::new(move || env.now()),
    };
    let registry = ProviderRegistry::new(&format!("http://{}", reachable(http)));
    let registry = further
        .iter()
        .chain(PROVIDERS)
        .filter_map(|create| create(settings, &context))
        .fold(registry, ProviderRegistry::with);
    Providers { registry, events }
}

/// Names of the providers whose messages leave this machine.
pub(super) fn real(registry: &ProviderRegistry) -> Vec<&'static str> {
    let real = registry.all().filter(|provider| !provider.is_simulated());
    real.map(|provider| provider.name).collect()
}

/// The provider whose senders are created by first use: the simulator, if no message can leave this machine.
pub(super) fn open_senders(registry: &ProviderRegistry) -> Option<String> {
    if !real(registry).is_empty() {
        return None;
    }
    registry
        .all()
        .next()
        .map(|provider| provider.name.to_owned())
}

#[cfg(test)]
mod tests {
    use parlance_domain::Channel;

    use super::*;

    const REAL: Registration = |_, context| {
        let simulated = simulator::provider(context);
        Some(Provider {
            texts: simulated.texts,
            ..Provider::new("real")
        })
    };
    const UNCONFIGURED: Registration = |_, _| None;

    fn registry(further: &[Registration]) -> ProviderRegistry {
        let settings = Settings::load(std::iter::empty(), None).unwrap();
        let http = "0.0.0.0:8080".parse().unwrap();
        configured(&settings, further, http, &Environment::system()).registry
    }

    #[test]
    fn without_real_providers_senders_are_created_by_first_use() {
        for further in [&[][..], &[UNCONFIGURED]] {
            let registry = registry(further);
            assert_eq!(real(&registry), [""; 0]);
            assert_eq!(open_senders(&registry).as_deref(), Some("simulator"));
        }
        let registry = registry(&[REAL]);
        assert_eq!(real(&registry), ["real"]);
        assert_eq!(open_senders(&registry), None);
    }

    #[test]
    fn providers_call_this_service_at_an_address_that_can_be_reached() {
        let url = registry(&[]).webhook_url("simulator");
        assert_eq!(url, "http://127.0.0.1:8080/webhooks/simulator");
    }

    #[test]
    fn the_first_provider_that_carries_a_channel_comes_first() {
        let registry = registry(&[REAL]);
        let carrying = |channel| {
            let mut carrying = registry.all().filter(|it| it.carries(channel));
            carrying.next().map(|provider| provider.name)
        };
        assert_eq!(carrying(Channel::Sms), Some("real"));
        assert_eq!(carrying(Channel::Email), Some("simulator"));
    }
}
