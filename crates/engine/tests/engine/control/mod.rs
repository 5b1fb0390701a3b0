//! Conferences by C3P and REFER.

mod c3p;
mod factory;
mod refer;
