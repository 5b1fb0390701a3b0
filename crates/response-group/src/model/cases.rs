//! The cases that are explored, and the faults that must be found.

use super::{Case, Found, uri};
use crate::Fault;
use crate::config::{Action, Method};

/// Explores cases. Each has this many states: another number means that something else is explored than before, and is looked
/// at before it is written here.
fn check_all(cases: &[(&str, Case, usize)]) {
    let mut others = Vec::new();
    for (name, case, states) in cases {
        let found = case.explore();
        assert_eq!((found.fault, found.stuck), (None, 0), "{name}, among {} states", found.states);
        if found.states != *states {
            others.push((name, found.states));
        }
    }
    assert_eq!(others, [], "cases with another number of states");
}

fn forward() -> Action {
    Action::Forward { target: uri("elsewhere", 0) }
}

fn second_group() -> Action {
    Action::Group { target: uri("group", 1) }
}

fn parallel(calls: u64, agents: u32) -> Case {
    Case { method: Method::Parallel, calls, agents, ..Case::default() }
}

fn serial(calls: u64, agents: u32) -> Case {
    Case { method: Method::Serial, ..parallel(calls, agents) }
}

#[test]
fn every_interleaving_of_one_call_or_one_agent_keeps_the_invariants() {
    check_all(&[
        ("one call, two agents, parallel", parallel(1, 2), 2_426),
        ("the same, a crash anywhere", Case { crashes: 1, ..parallel(1, 2) }, 25_303),
        ("one call, two agents, serial", serial(1, 2), 1_822),
        ("two calls, one agent", serial(2, 1), 284),
        ("the same, a crash anywhere", Case { crashes: 1, ..serial(2, 1) }, 2_146),
        ("agents press a key, parallel", Case { confirm: true, ..parallel(1, 2) }, 3_621),
        ("agents press a key, serial, a crash", Case { confirm: true, crashes: 1, ..serial(1, 2) }, 20_850),
        ("forwarded at the time-out, a crash", Case { timeout: forward(), crashes: 1, ..parallel(1, 1) }, 478),
        ("one call, one agent, a crash after a crash", Case { crashes: 2, ..parallel(1, 1) }, 579),
        ("sent on by an agent, a crash", Case { transfers: vec![forward()], crashes: 1, ..parallel(1, 1) }, 534),
        (
            "to the second group, by an agent and at the time-out",
            Case { second: Some(9), timeout: second_group(), transfers: vec![second_group()], ..parallel(1, 1) },
            3_747,
        ),
        (
            "to the second group by an agent, a crash",
            Case { second: Some(9), transfers: vec![second_group()], crashes: 1, ..parallel(1, 1) },
            2_627,
        ),
        ("overflow to the second group", Case { second: Some(0), ..serial(2, 1) }, 5_200),
        ("both agents go at any moment", Case { departures: 2, ..serial(1, 2) }, 7_547),
        ("the only agent goes, a crash anywhere", Case { departures: 1, crashes: 1, ..parallel(1, 1) }, 746),
    ]);
}

#[test]
fn every_interleaving_of_two_calls_and_two_agents_keeps_the_invariants() {
    check_all(&[
        ("serial", serial(2, 2), 22_032),
        ("parallel", parallel(2, 2), 25_444),
        ("parallel, agents press a key", Case { confirm: true, patient: true, ..parallel(2, 2) }, 52_575),
        ("serial, a crash anywhere", Case { patient: true, crashes: 1, ..serial(2, 2) }, 315_992),
    ]);
}

fn with_fault(fault: Fault, case: Case) -> Found {
    Case { fault: Some(fault), ..case }.explore()
}

#[test]
fn an_agent_freed_at_the_withdrawal_is_found() {
    let case = Case { method: Method::Serial, calls: 2, agents: 1, ..Case::default() };
    let found = with_fault(Fault::FreesAtWithdrawal, case);
    assert!(found.fault.is_some_and(|fault| fault.starts_with("I2") || fault.starts_with("I3")));
}

#[test]
fn a_dropped_answer_after_a_cancel_is_found() {
    let case = Case { method: Method::Parallel, calls: 1, agents: 2, ..Case::default() };
    let found = with_fault(Fault::DropsLateAnswers, case);
    assert!(found.fault.is_some_and(|fault| fault.starts_with("I14")));
}

#[test]
fn a_restart_without_guard_is_found() {
    let case = |looks_at_rest_alone| {
        let case = Case { method: Method::Serial, calls: 1, agents: 2, crashes: 1, ..Case::default() };
        with_fault(Fault::NoRestartGuard, Case { looks_at_rest_alone, ..case })
    };
    assert!(case(false).fault.is_some_and(|fault| fault.starts_with("I4") || fault.starts_with("I9")));
    assert!(case(true).stuck > 0, "every agent becomes free without the guard");
}
