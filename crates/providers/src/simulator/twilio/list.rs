//! List of messages: filters and pages.

use http::StatusCode;
use parlance_domain::Timestamp;
use serde_json::{Value, json};

use super::dates::Date;
use super::params::{Params, encode};
use super::response::{self, ApiResponse, messages_path};
use crate::simulator::network::{Message, Network, Refusal, code};

const DEFAULT_PAGE: usize = 50;
const MAX_PAGE: usize = 1_000;
const TOKEN_PREFIX: &str = "PA";
/// Names of the filters, which every URI of a page repeats.
const FILTERS: [&str; 5] = ["To", "From", "DateSent", "DateSent<", "DateSent>"];

/// Filter of a list.
struct Filter<'a> {
    to: Option<&'a str>,
    from: Option<&'a str>,
    /// Times at which a message was sent: from the first and before the second.
    sent_from: Option<Timestamp>,
    sent_before: Option<Timestamp>,
}

impl<'a> Filter<'a> {
    fn of(params: &'a Params) -> Result<Self, Refusal> {
        let non_empty = |name| params.get(name).filter(|value| !value.is_empty());
        let date = |name: &'static str| {
            let text = non_empty(name);
            let date = text.map(|text| Date::parse(text).ok_or_else(|| invalid(name)));
            date.transpose()
        };
        let mut filter = Self {
            to: non_empty("To"),
            from: non_empty("From"),
            sent_from: date("DateSent>")?.map(|date| date.start),
            sent_before: date("DateSent<")?.map(Date::end),
        };
        // A time stands for its day here.
        if let Some(day) = date("DateSent")?.map(Date::day) {
            filter.sent_from = filter.sent_from.max(Some(day.start));
            let end = filter.sent_before.unwrap_or(day.end());
            filter.sent_before = Some(end.min(day.end()));
        }
        Ok(filter)
    }

    fn has(&self, message: &Message) -> bool {
        let Self {
            to,
            from,
            sent_from,
            sent_before,
        } = self;
        let was_sent = |matches: &dyn Fn(Timestamp) -> bool| message.sent_at.is_some_and(matches);
        to.is_none_or(|to| to == message.to)
            && from.is_none_or(|from| from == message.from)
            && sent_from.is_none_or(|first| was_sent(&|sent| sent >= first))
            && sent_before.is_none_or(|end| was_sent(&|sent| sent < end))
    }
}

fn invalid(name: &str) -> Refusal {
    Refusal::new(
        code::INVALID_PARAMETER,
        format!("{name} must be a date such as 2026-11-30, or a time such as 2026-11-30T09:00:00Z"),
    )
}

/// Page of a list.
struct Page {
    size: usize,
    number: usize,
    /// Number of the last message of the page before; without it pages are counted.
    after: Option<u64>,
}

impl Page {
    fn of(params: &Params) -> Result<Self, Refusal> {
        let number = |name: &str, default: usize| match params.text(name) {
            "" => Ok(default),
            text => text.parse::<usize>().map_err(|_| {
                Refusal::new(code::INVALID_PARAMETER, format!("{name} must be a number"))
            }),
        };
        let token = params.get("PageToken").filter(|token| !token.is_empty());
        let after = token.map(|token| {
            let hex = token.strip_prefix(TOKEN_PREFIX).unwrap_or_default();
            u64::from_str_radix(hex, 16)
                .map_err(|_| Refusal::new(code::INVALID_PARAMETER, "PageToken is not valid"))
        });
        Ok(Self {
            size: number("PageSize", DEFAULT_PAGE)?.clamp(1, MAX_PAGE),
            number: number("Page", 0)?,
            after: after.transpose()?,
        })
    }
}

/// Returns a page of the messages that match, newest first.
pub(super) fn list(
    network: &Network,
    account: &str,
    params: &Params,
) -> Result<ApiResponse, Refusal> {
    let (filter, page) = (Filter::of(params)?, Page::of(params)?);
    let skipped = match page.after {
        Some(_) => 0,
        None => page.number.saturating_mul(page.size),
    };
    let mut matching = network
        .messages(account)
        .filter(|message| filter.has(message))
        .filter(|message| page.after.is_none_or(|after| message.number < after))
        .skip(skipped);
    let shown: Vec<&Message> = matching.by_ref().take(page.size).collect();
    let last = matching.next().and(shown.last()).map(|last| last.number);

    let uri = |number: usize, token: Option<u64>| {
        let mut query: Vec<(&str, String)> = FILTERS
            .iter()
            .filter_map(|name| Some((*name, params.get(name)?.to_owned())))
            .collect();
        query.push(("PageSize", page.size.to_string()));
        query.push(("Page", number.to_string()));
        query.extend(token.map(|token| ("PageToken", format!("{TOKEN_PREFIX}{token:x}"))));
        let pairs = query.iter().map(|(name, value)| (*name, value.as_str()));
        format!("{}.json?{}", messages_path(account), encode(pairs))
    };
    let start = page.number.saturating_mul(page.size);
    let next = last.map(|last| uri(page.number.saturating_add(1), Some(last)));
    let previous = page.number.checked_sub(1).map(|number| uri(number, None));
    let messages: Vec<Value> = shown.iter().map(|it| response::message(it)).collect();
    let body = json!({
        "first_page_uri": uri(0, None),
        "previous_page_uri": previous,
        "next_page_uri": next,
        "uri": uri(page.number, page.after),
        "page": page.number,
        "page_size": page.size,
        "start": start,
        "end": start.saturating_add(shown.len()).saturating_sub(1).max(start),
        "messages": messages,
    });
    Ok(ApiResponse::json(StatusCode::OK, &body))
}
