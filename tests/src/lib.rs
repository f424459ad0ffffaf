//! The end-to-end tests of afterpush live in `e2e/`, the benchmarks in `benches/`, the fuzzing in `fuzz/`; what is fuzzed, and
//! replayed by the ordinary tests, is here.

pub mod readers;
