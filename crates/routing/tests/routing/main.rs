//! The dial plan from the outside: location profiles, verdicts, and what holds for every input.

mod profiles;
mod properties;
mod verdicts;
