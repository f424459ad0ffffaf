//! Every provider's whole flow over real HTTP against a real mock server: Stoplight Prism answers from the vendor's own description,
//! and no request may disagree with that.
//!
//! Prism's answers are the description's examples, each by itself: none names the pushed commit, and no list leads to its details.
//! So a relay stands between the transport and Prism. It hands on every request as it is, and puts into the answers what a test
//! says, at those places alone: the commit, a state, the id that leads on. The descriptions are those of the folder that
//! `AFTERPUSH_PROVIDER_SPECS` names.
#![allow(clippy::unwrap_used)]

mod relay;
mod walk;

mod argocd;
mod cloudflare;
mod digitalocean;
mod fly;
mod github;
mod gitlab;
mod heroku;
mod netlify;
mod render;
mod vercel;
