//! Requests of the REST API, version 2010-04-01.

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{Method, Request, header};
use http_body_util::Full;

use super::account::Account;
use super::http_client::{Answer, CallError, HttpClient};
use super::resource::is_sid;

const VERSION: &str = "2010-04-01";
/// Maximum size of an answer about one message: its text has up to 1,600 characters.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;
/// Maximum size of a page of messages.
const MAX_PAGE_BYTES: usize = 2 * 1024 * 1024;
/// Messages of a page.
const PAGE_SIZE: &str = "100";
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const AGENT: &str = concat!("parlance/", env!("CARGO_PKG_VERSION"));

/// Parameter of a request.
pub(super) type Parameter<'a> = (&'a str, String);

/// The client.
pub(super) struct Client {
    http: HttpClient,
}

impl Client {
    pub(super) const fn new(http: HttpClient) -> Self {
        Self { http }
    }

    /// Creates a message.
    pub(super) async fn create(
        &self,
        account: &Account,
        parameters: &[Parameter<'_>],
    ) -> Result<Answer, CallError> {
        let url = format!("{}.json", messages_url(account));
        let request = request(account, Method::POST, &url, Some(parameters));
        self.call(request, MAX_MESSAGE_BYTES).await
    }

    /// Cancels a message that waits at the provider.
    pub(super) async fn cancel(&self, account: &Account, sid: &str) -> Result<Answer, CallError> {
        let parameters = [("Status", "canceled".to_owned())];
        let url = message_url(account, sid)?;
        let request = request(account, Method::POST, &url, Some(&parameters));
        self.call(request, MAX_MESSAGE_BYTES).await
    }

    /// Reads a message.
    pub(super) async fn fetch(&self, account: &Account, sid: &str) -> Result<Answer, CallError> {
        let url = message_url(account, sid)?;
        let request = request(account, Method::GET, &url, None);
        self.call(request, MAX_MESSAGE_BYTES).await
    }

    /// Reads the first page of the messages that match, newest first.
    pub(super) async fn list(
        &self,
        account: &Account,
        filters: &[Parameter<'_>],
    ) -> Result<Answer, CallError> {
        let mut query = encoded(filters);
        query.push_str("&PageSize=");
        query.push_str(PAGE_SIZE);
        let url = format!("{}.json?{query}", messages_url(account));
        self.page(account, &url).await
    }

    /// Reads a further page. `uri` comes from the provider; only one of the same list is followed, because the request
    /// carries the credentials.
    pub(super) async fn next_page(
        &self,
        account: &Account,
        uri: &str,
    ) -> Result<Answer, CallError> {
        let url = format!("{}{uri}", account.base_url);
        if !url.starts_with(&format!("{}.json?", messages_url(account))) {
            let error = "the next page is not one of the account's messages".to_owned();
            return Err(CallError::NotSent(error));
        }
        self.page(account, &url).await
    }

    async fn page(&self, account: &Account, url: &str) -> Result<Answer, CallError> {
        let request = request(account, Method::GET, url, None);
        self.call(request, MAX_PAGE_BYTES).await
    }

    async fn call(
        &self,
        request: Result<Request<Full<Bytes>>, http::Error>,
        max_body_bytes: usize,
    ) -> Result<Answer, CallError> {
        match request {
            Ok(request) => self.http.call(request, max_body_bytes).await,
            Err(error) => Err(CallError::NotSent(error.to_string())),
        }
    }
}

fn messages_url(account: &Account) -> String {
    let Account {
        base_url,
        account_sid,
        ..
    } = account;
    format!("{base_url}/{VERSION}/Accounts/{account_sid}/Messages")
}

fn message_url(account: &Account, sid: &str) -> Result<String, CallError> {
    if is_sid(sid) {
        Ok(format!("{}/{sid}.json", messages_url(account)))
    } else {
        Err(CallError::NotSent(format!(
            "{sid:?} is not the id of a message"
        )))
    }
}

fn request(
    account: &Account,
    method: Method,
    url: &str,
    parameters: Option<&[Parameter<'_>]>,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::builder()
        .method(method)
        .uri(url)
        .header(header::ACCEPT, JSON)
        .header(header::USER_AGENT, AGENT);
    if let Some(login) = account.authorization() {
        request = request.header(header::AUTHORIZATION, login);
    }
    let body = parameters.map(encoded);
    if body.is_some() {
        request = request.header(header::CONTENT_TYPE, FORM);
    }
    request.body(Full::from(body.unwrap_or_default()))
}

fn encoded(parameters: &[Parameter<'_>]) -> String {
    let mut form = Serializer::new(String::new());
    for (name, value) in parameters {
        form.append_pair(name, value);
    }
    form.finish()
}
