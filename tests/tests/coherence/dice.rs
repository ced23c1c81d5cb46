//! Random choices.

pub(crate) use parlance_tests::Dice;
