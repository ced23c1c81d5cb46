//! Twilio's HTTP API of 2010-04-01 in front of the simulated network, without I/O: a request goes in, an answer comes
//! out. The shapes are Twilio's, so that an application that uses an SDK of Twilio works unchanged.
//!
//! | method | path below `/2010-04-01/Accounts/{account}` | does |
//! |---|---|---|
//! | GET | `.json` | the account |
//! | POST, GET | `/Messages.json` | creates a message; lists messages |
//! | GET, POST, DELETE | `/Messages/{sid}.json` | reads, cancels or redacts, deletes a message |
//! | GET | `/Messages/{sid}/Media.json` | lists the files of a message |
//! | GET, DELETE | `/Messages/{sid}/Media/{sid}.json` | reads, deletes a file |
//! | GET | `/Messages/{sid}/Media/{sid}` | the content of a file, or a redirection to it; needs no token |

mod create;
mod dates;
mod list;
mod params;
mod response;
mod signature;
#[cfg(test)]
mod tests;
mod twiml;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{Method, StatusCode};
use serde_json::json;

pub use params::encode;
pub use response::{Answer, ApiResponse};
pub use signature::signature;
pub use twiml::{TwimlMessage, messages as twiml_messages};

use super::network::{API_VERSION, Message, Network, Refusal, Time, code};
use params::Params;

/// The account that the API serves.
#[derive(Clone)]
pub struct Credentials {
    /// Its id.
    pub account: String,
    /// Its token: the password of the account and of every API key, and the key of signatures.
    pub token: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Request to the API, with its whole body.
#[derive(Debug, Clone)]
pub struct ApiRequest<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path.
    pub path: &'a str,
    /// The query without the question mark.
    pub query: &'a str,
    /// The header `Authorization`; empty without one.
    pub authorization: &'a str,
    /// The form.
    pub body: &'a [u8],
}

/// Answers a request.
pub fn answer(
    network: &mut Network,
    time: Time,
    credentials: &Credentials,
    request: &ApiRequest<'_>,
) -> Answer {
    let answered = route(network, time, credentials, request);
    answered.unwrap_or_else(|refusal| Answer::Response(ApiResponse::error(&refusal)))
}

fn route(
    network: &mut Network,
    time: Time,
    credentials: &Credentials,
    request: &ApiRequest<'_>,
) -> Result<Answer, Refusal> {
    let ApiRequest {
        method,
        path,
        query,
        authorization,
        body,
    } = request;
    let not_found = || not_found(path);
    let root = format!("/{API_VERSION}/Accounts/");
    let resource = path.strip_prefix(root.as_str()).ok_or_else(not_found)?;
    let account = credentials.account.as_str();
    let (resource, is_json) = resource
        .strip_suffix(".json")
        .map_or((resource, false), |resource| (resource, true));
    let parts: Vec<&str> = resource.split('/').collect();
    // Files are public, as at Twilio by default: their ids cannot be guessed.
    let is_content = matches!(parts[..], [_, "Messages", _, "Media", _]) && !is_json;
    if !is_content || *method != Method::GET {
        authenticate(credentials, authorization)?;
    }
    if parts.first() != Some(&account) {
        return Err(unauthenticated());
    }
    let method = method.as_str();
    let response = match (parts.get(1..).unwrap_or_default(), method) {
        ([], "GET") => {
            let now = network.now(account, time);
            ApiResponse::json(StatusCode::OK, &response::account(account, now))
        }
        (["Messages"], "POST") => {
            return create::create(network, time, account, &Params::parse(body));
        }
        (["Messages"], "GET") => list::list(network, account, &Params::parse(query.as_bytes()))?,
        (["Messages", sid, rest @ ..], _) => {
            let message = network.message(account, sid).ok_or_else(not_found)?;
            let message = message.clone();
            match rest {
                [] => message_resource(network, time, &message, method, body)?,
                ["Media"] if method == "GET" => media_list(&message),
                ["Media", media] => {
                    let media = message.media.iter().find(|it| it.sid == *media);
                    let media = media.ok_or_else(not_found)?;
                    match method {
                        "GET" if is_json => {
                            let body = response::media(&message, media);
                            ApiResponse::json(StatusCode::OK, &body)
                        }
                        "GET" => ApiResponse::content(media),
                        "DELETE" => {
                            network.delete_media(sid, &media.sid);
                            ApiResponse::no_content()
                        }
                        _ => return Err(method_not_allowed()),
                    }
                }
                ["Media"] => return Err(method_not_allowed()),
                _ => return Err(not_found()),
            }
        }
        ([] | ["Messages"], _) => return Err(method_not_allowed()),
        _ => return Err(not_found()),
    };
    Ok(Answer::Response(response))
}

fn message_resource(
    network: &mut Network,
    time: Time,
    message: &Message,
    method: &str,
    body: &[u8],
) -> Result<ApiResponse, Refusal> {
    match method {
        "GET" => Ok(show(message)),
        "POST" => {
            update(network, time, message, &Params::parse(body))?;
            let changed = network.message(&message.account, &message.sid);
            Ok(show(changed.unwrap_or(message)))
        }
        "DELETE" => {
            complete(message)?;
            network.delete(&message.sid);
            Ok(ApiResponse::no_content())
        }
        _ => Err(method_not_allowed()),
    }
}

fn show(message: &Message) -> ApiResponse {
    ApiResponse::json(StatusCode::OK, &response::message(message))
}

/// Cancels or redacts a message.
fn update(
    network: &mut Network,
    time: Time,
    message: &Message,
    params: &Params,
) -> Result<(), Refusal> {
    match params.get("Status") {
        None | Some("") => {}
        Some("canceled") => {
            if !network.cancel(&message.sid, time) {
                return Err(Refusal::new(
                    code::NOT_CANCELABLE,
                    "Message cannot be canceled: only a scheduled message can be",
                ));
            }
        }
        Some(_) => {
            return Err(Refusal::new(
                code::INVALID_PARAMETER,
                "Status can only be set to canceled",
            ));
        }
    }
    match params.get("Body") {
        None => Ok(()),
        Some("") => {
            complete(message)?;
            network.redact(&message.sid);
            Ok(())
        }
        Some(_) => Err(Refusal::new(
            code::INVALID_PARAMETER,
            "Body can only be set to an empty text, which redacts it",
        )),
    }
}

/// Only a message with its final status can be deleted or redacted.
fn complete(message: &Message) -> Result<(), Refusal> {
    if message.status.is_final() {
        return Ok(());
    }
    let refusal = Refusal::new(
        code::NOT_COMPLETE,
        "Cannot delete or redact the message because its delivery has not been completed",
    );
    Err(refusal.with_status(StatusCode::CONFLICT))
}

fn media_list(message: &Message) -> ApiResponse {
    let path = format!(
        "{}/{}/Media.json",
        response::messages_path(&message.account),
        message.sid
    );
    let uri = format!("{path}?PageSize=50&Page=0");
    let files = message.media.iter();
    let list: Vec<_> = files.map(|it| response::media(message, it)).collect();
    let body = json!({
        "first_page_uri": uri,
        "previous_page_uri": null,
        "next_page_uri": null,
        "uri": uri,
        "page": 0,
        "page_size": 50,
        "start": 0,
        "end": list.len().saturating_sub(1),
        "media_list": list,
    });
    ApiResponse::json(StatusCode::OK, &body)
}

/// Accepts the account and any API key, each with the token.
fn authenticate(credentials: &Credentials, authorization: &str) -> Result<(), Refusal> {
    let encoded = authorization
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let decoded = encoded.and_then(|(_, text)| BASE64_STANDARD.decode(text.trim()).ok());
    let pair = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
    let is_valid = pair.is_some_and(|pair| {
        pair.split_once(':').is_some_and(|(user, password)| {
            (user == credentials.account || user.starts_with("SK")) && password == credentials.token
        })
    });
    if is_valid {
        Ok(())
    } else {
        Err(unauthenticated())
    }
}

fn unauthenticated() -> Refusal {
    Refusal::new(code::UNAUTHENTICATED, "Authenticate").with_status(StatusCode::UNAUTHORIZED)
}

fn not_found(path: &str) -> Refusal {
    let path = &path[..path.floor_char_boundary(200)];
    let message = format!("The requested resource {path} was not found");
    Refusal::new(code::NOT_FOUND, message).with_status(StatusCode::NOT_FOUND)
}

fn method_not_allowed() -> Refusal {
    let refusal = Refusal::new(code::METHOD_NOT_ALLOWED, "Method not allowed");
    refusal.with_status(StatusCode::METHOD_NOT_ALLOWED)
}
