//! Interleaved rounds (A B A B): changes in the machine's other load affect all subjects equally.

use crate::report::{Sample, Subject};

/// A subject that can be measured repeatedly.
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

/// Measures all arms in each round; returns one subject per arm, in order.
pub(crate) fn interleaved(case: &str, rounds: usize, arms: &[Arm<'_>]) -> Vec<Subject> {
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
