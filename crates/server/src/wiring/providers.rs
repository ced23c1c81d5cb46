//! Provider registry. The only place that names the providers.

use std::net::SocketAddr;
use std::sync::Arc;

use parlance_app::Environment;
use parlance_app::delivery::ProviderRegistry;
use parlance_providers::{EventRelay, Provider, ProviderContext, ProviderEvents};
use parlance_providers::{simulator, twilio};

use super::port::reachable;
use crate::config::{Settings, TwilioCredentials};

/// Creates a provider, or none if the settings do not configure it.
pub type Registration = fn(&Settings, &ProviderContext) -> Option<Provider>;

/// Every provider, one line each. The first one that carries a channel is the default of its senders, so the simulator is
/// the last.
const PROVIDERS: &[Registration] = &[
    |settings, context| {
        let accounts = settings.twilio.iter().map(twilio_account).collect();
        twilio::provider(accounts, settings.delivery_provider_timeout, context)
    },
    |_, context| Some(simulator::provider(context)),
];

fn twilio_account(credentials: &TwilioCredentials) -> twilio::Account {
    let TwilioCredentials {
        name,
        account_sid,
        login: (user, password),
        auth_token,
        secondary_auth_token,
        shared_keys,
        base_url,
    } = credentials.clone();
    twilio::Account {
        name,
        account_sid,
        login: twilio::Login { user, password },
        auth_tokens: auth_token.into_iter().chain(secondary_auth_token).collect(),
        shared_keys: shared_keys
            .into_iter()
            .map(|(name, secret)| twilio::SharedKey { name, secret })
            .collect(),
        base_url: base_url.unwrap_or_else(|| twilio::BASE_URL.to_owned()),
    }
}

/// The configured providers, before the application exists that they report to.
pub(super) struct Providers {
    pub(super) registry: ProviderRegistry,
    /// To be connected to the application.
    pub(super) events: Arc<EventRelay>,
}

/// Creates the configured providers; `further` ones come first. Providers call this service at `PUBLIC_URL`, or at
/// `webhooks`.
pub(super) fn configured(
    settings: &Settings,
    further: &[Registration],
    webhooks: SocketAddr,
    env: &Environment,
) -> Providers {
    let events = Arc::new(EventRelay::default());
    let env = env.clone();
    let context = ProviderContext {
        events: Arc::clone(&events) as Arc<dyn ProviderEvents>,
        now: Arc::new(move || env.now()),
    };
    let public_url = settings.public_url.clone();
    let public_url = public_url.unwrap_or_else(|| format!("http://{}", reachable(webhooks)));
    let registry = ProviderRegistry::new(&public_url);
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
        registry_of(&[], further)
    }

    fn registry_of(settings: &[(&str, &str)], further: &[Registration]) -> ProviderRegistry {
        let settings = settings.iter();
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(settings, None).unwrap();
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
        let registry = registry(&[]);
        let url = registry.webhook_url("simulator");
        assert_eq!(url, "http://127.0.0.1:8080/webhooks/simulator");
        assert_eq!(registry.public_path(), "");

        let registry = registry_of(&[("PUBLIC_URL", "https://h.example/a/")], &[]);
        let url = registry.webhook_url("simulator");
        assert_eq!(url, "https://h.example/a/webhooks/simulator");
        assert_eq!(registry.public_path(), "/a");
    }

    #[test]
    fn twilio_is_configured_by_its_account() {
        let registry = registry_of(
            &[("TWILIO_ACCOUNT_SID", "AC1"), ("TWILIO_AUTH_TOKEN", "x")],
            &[],
        );
        assert_eq!(real(&registry), ["twilio"]);
        assert_eq!(open_senders(&registry), None);
        let twilio = registry.get("twilio").unwrap();
        assert_eq!(twilio.credentials, ["twilio"]);
        assert!(twilio.carries(Channel::Mms) && !twilio.carries(Channel::Email));
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
