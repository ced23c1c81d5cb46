//! What must not compile: the invariants that the types hold.

#[test]
fn what_would_break_an_invariant_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
