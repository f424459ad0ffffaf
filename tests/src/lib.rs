//! The end-to-end tests of afterpush live in `e2e/`, the benchmarks in `benches/`; this crate has no code of its own.
