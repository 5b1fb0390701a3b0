//! The engine in virtual time, seen from outside: what it is told and what it then does.

mod callers;
mod conference;
mod control;
mod group;
mod loose_ends;
mod people;
mod world;
