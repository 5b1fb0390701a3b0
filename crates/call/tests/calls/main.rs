//! The call machine against scripted peers (`solo`), against itself over a faulty network (`pair`), and against random
//! orders of events (`chaos`).

mod support;

mod answers;
mod cancelling;
mod challenges;
mod chaos;
mod glare;
mod in_dialog;
mod incoming;
mod late_offer;
mod pair;
mod peers;
mod session;
mod staged;
mod subscriptions;
mod table;
