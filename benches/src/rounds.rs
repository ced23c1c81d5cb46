//! A B A B: subjects are measured in turn, so that a neighbour who wakes up disturbs all of them alike.

use crate::report::{Sample, Subject};

/// Something that can be measured again and again.
pub(crate) struct Arm<'a> {
    pub(crate) name: String,
    pub(crate) measure: Box<dyn Fn() -> Sample + 'a>,
}

impl<'a> Arm<'a> {
    pub(crate) fn new(name: impl Into<String>, measure: impl Fn() -> Sample + 'a) -> Self {
        Self {
            name: name.into(),
            measure: Box::new(measure),
        }
    }
}

/// One subject for each arm, in their order.
pub(crate) fn in_turn(case: &str, rounds: usize, arms: &[Arm<'_>]) -> Vec<Subject> {
    let mut samples: Vec<Vec<Sample>> = arms.iter().map(|_| Vec::new()).collect();
    for round in 1..=rounds {
        for (arm, samples) in arms.iter().zip(&mut samples) {
            let sample = (arm.measure)();
            eprintln!(
                "{case}, round {round} of {rounds}: {} {:.0}/s",
                arm.name, sample.rate
            );
            samples.push(sample);
        }
    }
    let subjects = arms.iter().zip(samples);
    subjects
        .map(|(arm, samples)| Subject::new(case, &arm.name, samples))
        .collect()
}
