//! Breadth-first search through all states of a model.

use std::hash::{BuildHasherDefault, Hash, Hasher};

use indexmap::IndexSet;

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Broken {
    /// R1: a read that began after a write was acknowledged returns something older.
    StaleAfterAck,
    /// R2, and not R1: a read returns something older than what a finished read had returned when it began.
    NewThenOld,
    /// R3: after all activity has ended, the cache has something older than the database until it expires.
    LeftStale,
    /// L1: a write waits for longer than the gate's time to live, or for ever.
    WaitsTooLong,
    /// L2: an instance that reaches Redis does not serve from it again.
    NeverServesAgain,
}

/// The expected result of a search.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect {
    /// Over all states exactly these promises are broken.
    Only(&'static [Broken]),
    /// This promise is broken, and possibly others.
    Breaks(Broken),
}

/// No promise is broken in any state.
pub(crate) const HOLDS: Expect = Expect::Only(&[]);

/// A step from one state to the next.
#[derive(Debug)]
pub(crate) struct Step<S> {
    /// Description; empty unless requested.
    name: String,
    next: S,
    broken: Option<Broken>,
}

/// The steps from one state.
#[derive(Debug)]
pub(crate) struct Steps<S> {
    named: bool,
    found: Vec<Step<S>>,
}

impl<S: Clone> Steps<S> {
    fn new(named: bool) -> Self {
        Self {
            named,
            found: Vec::new(),
        }
    }

    /// The state after the first of these steps.
    pub(crate) fn first(all: impl FnOnce(&mut Self)) -> Option<S> {
        let mut steps = Self::new(false);
        all(&mut steps);
        steps.found.into_iter().next().map(|step| step.next)
    }

    /// Adds a step from this state.
    pub(crate) fn step(
        &mut self,
        name: impl FnOnce() -> String,
        from: &S,
        change: impl FnOnce(&mut S),
    ) {
        self.step_that_breaks(None, name, from, change);
    }

    /// Adds a step that may break a promise.
    pub(crate) fn step_that_breaks(
        &mut self,
        broken: Option<Broken>,
        name: impl FnOnce() -> String,
        from: &S,
        change: impl FnOnce(&mut S),
    ) {
        let mut next = from.clone();
        change(&mut next);
        let name = if self.named { name() } else { String::new() };
        self.found.push(Step { name, next, broken });
    }
}

/// A protocol that is small enough to be searched.
pub(crate) trait Model {
    /// The whole state.
    type State: Clone + Eq + Hash;

    /// The initial state.
    fn start(&self) -> Self::State;

    /// Adds all possible next steps.
    fn steps(&self, state: &Self::State, steps: &mut Steps<Self::State>);

    /// The promise that a state breaks, however it was reached.
    fn broken(&self, _: &Self::State) -> Option<Broken> {
        None
    }
}

/// The result of a search.
#[derive(Debug)]
struct Search<S> {
    states: IndexSet<S, BuildHasherDefault<FastHasher>>,
    /// For each state, the state from which it was first reached.
    before: Vec<u32>,
    /// Each broken promise with its shortest path: the last state, and the step from there, if it takes one.
    broken: Vec<(Broken, usize, Option<usize>)>,
    /// Whether it ended early, because the result was known.
    early: bool,
}

fn search<M: Model>(model: &M, expect: Expect) -> Search<M::State> {
    let mut search = Search {
        states: IndexSet::default(),
        before: vec![0],
        broken: Vec::new(),
        early: false,
    };
    search.states.insert(model.start());
    let mut steps = Steps::new(false);
    let mut at = 0;
    while let Some(state) = search.states.get_index(at) {
        let here = model.broken(state);
        model.steps(state, &mut steps);
        search.note(here, at, None);
        for (number, step) in steps.found.drain(..).enumerate() {
            search.note(step.broken, at, Some(number));
            if search.states.insert(step.next) {
                search
                    .before
                    .push(u32::try_from(at).expect("fewer states than that"));
            }
        }
        if search.is_enough(expect) {
            search.early = true;
            break;
        }
        at += 1;
    }
    search
}

impl<S: Clone + Eq + Hash> Search<S> {
    fn note(&mut self, broken: Option<Broken>, state: usize, step: Option<usize>) {
        if let Some(broken) = broken
            && !self.has(broken)
        {
            self.broken.push((broken, state, step));
        }
    }

    fn has(&self, broken: Broken) -> bool {
        self.broken.iter().any(|(found, ..)| *found == broken)
    }

    /// Whether the result is known before the end of the search.
    fn is_enough(&self, expect: Expect) -> bool {
        match expect {
            Expect::Only(expected) => self.broken.iter().any(|(b, ..)| !expected.contains(b)),
            Expect::Breaks(broken) => self.has(broken),
        }
    }

    fn is_as(&self, expect: Expect) -> bool {
        match expect {
            Expect::Only(expected) => !self.early && self.broken.len() == expected.len(),
            Expect::Breaks(broken) => self.has(broken),
        }
    }

    /// The steps on the shortest path to a state, and the step from it.
    fn path<M: Model<State = S>>(&self, model: &M, to: usize, last: Option<usize>) -> Vec<String> {
        let mut names = Vec::new();
        let steps_from = |state: usize| {
            let mut steps = Steps::new(true);
            model.steps(&self.states[state], &mut steps);
            steps.found
        };
        if let Some(last) = last {
            names.extend(steps_from(to).into_iter().nth(last).map(|s| s.name));
        }
        let mut at = to;
        while at != 0 {
            let before = self.before[at] as usize;
            let step = steps_from(before)
                .into_iter()
                .find(|step| step.next == self.states[at]);
            names.extend(step.map(|step| step.name));
            at = before;
        }
        names.reverse();
        names
    }
}

/// Searches one model and prints the result; panics with the shortest counter-example if it is not as expected.
#[expect(clippy::print_stdout, reason = "figures of the search")]
fn check<M: Model>(name: &str, model: &M, expect: Expect) {
    let started = std::time::Instant::now();
    let search = search(model, expect);
    let found: Vec<Broken> = search.broken.iter().map(|(broken, ..)| *broken).collect();
    println!(
        "{name}: {} states{}, {:.1} s, broken: {found:?}",
        search.states.len(),
        if search.early { " and no more" } else { "" },
        started.elapsed().as_secs_f32(),
    );
    if search.is_as(expect) {
        return;
    }
    let paths: Vec<String> = (search.broken.iter())
        .map(|(broken, state, step)| {
            let path = search.path(model, *state, *step);
            format!(
                "{broken:?} in {} steps:\n  {}",
                path.len(),
                path.join("\n  ")
            )
        })
        .collect();
    let paths = paths.join("\n");
    panic!("{name}: expected {expect:?}, found {found:?}\n{paths}");
}

/// Searches models one after the other.
pub(crate) fn check_all<M: Model>(rows: &[(&str, M, Expect)]) {
    for (name, model, expect) in rows {
        check(name, model, *expect);
    }
}

/// A fast hasher. The states are our own, so collisions need not be prevented against an attacker.
#[derive(Debug, Default)]
struct FastHasher(u64);

impl FastHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for FastHasher {
    fn write(&mut self, bytes: &[u8]) {
        for eight in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..eight.len()].copy_from_slice(eight);
            self.add(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.add(value.into());
    }

    fn write_usize(&mut self, value: usize) {
        self.add(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.add(value.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        // The table uses both the upper and the lower bits.
        self.0 ^ (self.0 >> 32)
    }
}

mod tests {
    use super::*;

    /// Counts up by one or two, and breaks at a number.
    struct Counter {
        breaks_at: u8,
    }

    impl Model for Counter {
        type State = u8;

        fn start(&self) -> u8 {
            0
        }

        fn steps(&self, state: &u8, steps: &mut Steps<u8>) {
            for more in [1, 2] {
                let next = (state + more).min(10);
                let broken = (next == self.breaks_at).then_some(Broken::StaleAfterAck);
                steps.step_that_breaks(broken, || format!("+{more}"), state, |s| *s = next);
            }
        }
    }

    #[test]
    fn the_shortest_path_is_found() {
        let model = Counter { breaks_at: 7 };
        let found = search(&model, HOLDS);
        let (_, state, step) = found.broken[0];
        let path = found.path(&model, state, step);
        assert_eq!(path.len(), 4, "{path:?}");
    }

    #[test]
    fn all_states_are_searched() {
        let found = search(&Counter { breaks_at: 99 }, HOLDS);
        assert_eq!((found.states.len(), found.early), (11, false));
        assert!(found.is_as(HOLDS));
    }

    #[test]
    #[should_panic(expected = "expected Breaks(StaleAfterAck), found []")]
    fn an_unbroken_promise_is_reported() {
        let model = Counter { breaks_at: 99 };
        check("counter", &model, Expect::Breaks(Broken::StaleAfterAck));
    }

    #[test]
    #[should_panic(expected = "StaleAfterAck in 2 steps")]
    fn a_broken_promise_is_reported_with_its_path() {
        check("counter", &Counter { breaks_at: 3 }, HOLDS);
    }
}
