//! A message is written back only as its events decide.

use parlance_domain::message::Transition;

fn forged(transition: &mut Transition<'_>) {
    transition.changed = None;
}

fn main() {}
