//! Legs, dialogs, offer sets, early media, session timers, subscriptions and transfer.
