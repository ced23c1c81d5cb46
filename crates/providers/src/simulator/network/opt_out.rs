//! Opt-outs, which Twilio keeps by itself: STOP, START and HELP of a customer, by number or Messaging Service.

use std::collections::{HashSet, VecDeque};

/// Number of opt-outs that are kept.
const MAX_BLOCKS: usize = 10_000;

/// Meaning of an inbound message as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    Stop,
    Start,
    Help,
}

impl Keyword {
    pub(super) fn of(body: &str) -> Option<Self> {
        match body.trim().to_ascii_uppercase().as_str() {
            "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE"
            | "OPTOUT" => Some(Self::Stop),
            "START" | "UNSTOP" | "YES" => Some(Self::Start),
            "HELP" | "INFO" => Some(Self::Help),
            _ => None,
        }
    }

    /// Text of the confirmation.
    pub(super) const fn confirmation(self) -> &'static str {
        match self {
            Self::Stop => {
                "You have been unsubscribed. You will receive no more messages from this number. Reply START to resubscribe."
            }
            Self::Start => {
                "You have been resubscribed to messages from this number. Reply HELP for help, STOP to unsubscribe."
            }
            Self::Help => "Reply STOP to unsubscribe. Message and data rates may apply.",
        }
    }
}

/// Customers who have opted out: account, number or Messaging Service, customer.
type Block = (String, String, String);

/// All opt-outs; the oldest are removed beyond the limit.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: HashSet<Block>,
    in_order: VecDeque<Block>,
}

impl Blocks {
    pub(super) fn has(&self, account: &str, sender: &str, customer: &str) -> bool {
        self.blocks.contains(&block(account, sender, customer))
    }

    pub(super) fn add(&mut self, account: &str, sender: &str, customer: &str) {
        let block = block(account, sender, customer);
        if self.blocks.insert(block.clone()) {
            self.in_order.push_back(block);
        }
        if self.in_order.len() > MAX_BLOCKS
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.blocks.remove(&oldest);
        }
    }

    /// Returns whether there was one.
    pub(super) fn remove(&mut self, account: &str, sender: &str, customer: &str) -> bool {
        let block = block(account, sender, customer);
        self.in_order.retain(|it| *it != block);
        self.blocks.remove(&block)
    }
}

fn block(account: &str, sender: &str, customer: &str) -> Block {
    (account.to_owned(), sender.to_owned(), customer.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_message_is_a_keyword() {
        assert_eq!(Keyword::of(" stop\n"), Some(Keyword::Stop));
        assert_eq!(Keyword::of("Unstop"), Some(Keyword::Start));
        assert_eq!(Keyword::of("help"), Some(Keyword::Help));
        assert_eq!(Keyword::of("STOP PLEASE"), None);
    }

    #[test]
    fn an_opt_out_concerns_one_sender_and_customer() {
        let mut blocks = Blocks::default();
        blocks.add("a", "+1", "+2");
        blocks.add("a", "+1", "+2");
        assert!(blocks.has("a", "+1", "+2"));
        assert!(!blocks.has("a", "+2", "+1") && !blocks.has("b", "+1", "+2"));
        assert!(blocks.remove("a", "+1", "+2") && !blocks.remove("a", "+1", "+2"));
        assert!(blocks.in_order.is_empty());
    }
}
