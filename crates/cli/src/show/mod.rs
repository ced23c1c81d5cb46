//! Output of replies, as tables for users or as JSON for programs.

pub(crate) mod conversation;
pub(crate) mod event;
pub(crate) mod hold;
mod json;
pub(crate) mod labels;
pub(crate) mod message;
pub(crate) mod message_events;
pub(crate) mod search;
pub(crate) mod stats;
mod table;
mod time;

use crate::failure::Failure;
use crate::output::Output;
use json::{Json, Resource};
use table::Table;

/// Output for replies, in the selected format.
pub(crate) struct Screen<'a> {
    output: &'a mut Output,
    json: Option<Json>,
}

impl<'a> Screen<'a> {
    pub(crate) fn new(output: &'a mut Output, json: bool) -> Result<Self, Failure> {
        let json = json.then(Json::new).transpose()?;
        Ok(Self { output, json })
    }

    /// Output for text that is not a reply.
    pub(crate) fn output(&mut self) -> &mut Output {
        self.output
    }

    /// Prints one line of JSON per item, or the table that `table` returns.
    pub(crate) fn show<T: Resource>(
        &mut self,
        all: &[T],
        table: impl FnOnce(&[T]) -> Table,
    ) -> Result<(), Failure> {
        if let Some(json) = &self.json {
            for one in all {
                self.output.line(json.line(one)?);
            }
        } else {
            for line in table(all).lines(self.output.colours()) {
                self.output.line(line);
            }
        }
        Ok(())
    }
}
