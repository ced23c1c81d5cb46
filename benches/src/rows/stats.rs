//! What is counted must cost the same however much there is to count.

use crate::lab::Lab;
use crate::load::{Call, Shape};
use crate::report::Section;
use crate::rows::size;

const ABOUT: &str = "GetStats of the whole owner; ListConversations with its total; the last page of a conversation with its \
    total. One call at a time, without a cache.\n\
    The claims are rates of the small database against those of the large one: 1 is no difference.";

pub(crate) fn measure(lab: &Lab) -> Vec<Section> {
    let calls = [
        (Call::Stats, "GetStats"),
        (Call::Total, "ListConversations"),
        (Call::LastPage, "ListMessages"),
    ];
    size::compared(lab, ("stats", ABOUT), Shape::new(1, 1), &calls)
}
