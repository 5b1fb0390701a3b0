//! Calls to conferences and out of them.

mod calls;
mod dial_in;
mod dial_out_rules;
mod keys;
