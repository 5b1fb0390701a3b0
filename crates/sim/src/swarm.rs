//! Which kinds of event a seed has: each seed switches some of them off, because a run in which everything happens
//! never gets to the states that need peace (swarm testing).

use crate::dice::Dice;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// The kinds of event, switched on or off for one seed.
        #[derive(Clone, Debug)]
        pub(crate) struct Swarm { $($(#[$doc])* pub(crate) $name: bool),+ }

        impl Swarm {
            /// Draws the kinds of a seed.
            pub(crate) fn draw(dice: &mut Dice) -> Self {
                let share = *dice.pick(&[0.3, 0.5, 0.7, 0.9]).expect("there are four");
                Self { $($name: dice.chance(share)),+ }
            }

            /// The names of those that are on, for the story.
            pub(crate) fn on(&self) -> Vec<&'static str> {
                [$((stringify!($name), self.$name)),+].into_iter().filter(|kind| kind.1).map(|kind| kind.0).collect()
            }
        }
    };
}

kinds! {
    /// Datagrams are lost.
    loss,
    /// Datagrams arrive twice.
    duplicates,
    /// Delays vary so much that datagrams overtake each other.
    reordering,
    /// Phones ring until somebody gives up.
    no_answer,
    /// Phones are busy, declined, unknown, or cannot take our media.
    refusals,
    /// Phones say nothing at all.
    silent_phones,
    /// Phones are answered although the CANCEL has just arrived.
    late_answers,
    /// An INVITE is answered by two devices behind one address.
    forks,
    /// Phones send session descriptions before they answer, some of them reliably.
    early_media,
    /// Phones redirect.
    redirects,
    /// Phones answer with a description nobody can use, or with none.
    bad_answers,
    /// People hang up in the middle.
    hang_ups,
    /// People put the conference on hold and come back.
    holds,
    /// Sessions are refreshed often, by either side.
    short_sessions,
    /// Phones lose power.
    vanishing,
    /// People press digits.
    digits,
    /// Phones ask by REFER to call somebody.
    refers,
    /// Callers without an offer.
    offerless,
    /// Callers who hang up before they are answered.
    caller_cancels,
    /// Callers whose ACK never comes.
    missing_acks,
    /// Callers who want a person, not a conference.
    people,
    /// Callers who want a response group.
    groups,
    /// Callers without an account.
    strangers,
    /// Clients ask the conference to call somebody.
    dial_outs,
    /// Clients repeat such a request under the same endpoint.
    retries,
    /// Clients eject people, also themselves.
    ejections,
    /// Clients promote and demote.
    roles,
    /// Clients lock and unlock.
    locks,
    /// Clients mute and unmute one or all.
    mutes,
    /// Clients end the conference.
    deletions,
    /// Clients watch the roster.
    subscriptions,
    /// Organizers schedule, change and delete conferences.
    factory,
    /// The store takes its time.
    slow_store,
    /// The store refuses.
    failing_store,
    /// The media side takes its time.
    slow_mcu,
    /// The media side has no port.
    no_ports,
    /// The media side loses a conference.
    lost_conferences,
    /// The media side notices soon that somebody is silent.
    media_timeouts,
    /// Phones register and go away.
    registrations,
    /// The server stops before everybody has hung up.
    stop,
}
