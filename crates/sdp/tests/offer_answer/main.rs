//! Offer/answer from the outside: real clients, one rule at a time, and what holds for every input.

mod common;
mod golden;
mod properties;
mod rules;
