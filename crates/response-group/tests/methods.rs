//! Tables of the hunt methods: who is rung, and in which order.

mod common;

use common::{World, config, sales};
use response_group::{AgentChange, Refusal};

/// Each call is taken at once and ended at once; who was rung for it.
fn turns(method: &str, agents: &[&str], calls: usize) -> Vec<String> {
    let mut world = World::new(sales(&format!("method = {method:?}"), agents));
    for _ in 0..calls {
        let call = world.call("sales");
        let agent = world.rung()[0].clone();
        world.takes(&agent, call).wait_seconds(7).hangs_up(&agent).wait_seconds(1);
    }
    world.check();
    world.all_rung()
}

#[test]
fn the_serial_methods_take_turns_as_they_say() {
    let agents = ["a", "b", "c"];
    assert_eq!(turns("serial", &agents, 4), ["a", "a", "a", "a"]);
    assert_eq!(turns("round-robin", &agents, 7), ["a", "b", "c", "a", "b", "c", "a"]);
    assert_eq!(turns("longest-idle", &agents, 7), ["a", "b", "c", "a", "b", "c", "a"]);
}

#[test]
fn longest_idle_goes_by_the_end_of_the_last_conversation() {
    let mut world = World::new(sales("method = \"longest-idle\"", &["a", "b"]));
    let (one, two) = (world.call("sales"), world.call("sales"));
    world.takes("a", one).takes("b", two).wait_seconds(10).hangs_up("b").wait_seconds(1).hangs_up("a");
    world.call("sales");
    assert_eq!(world.rung(), ["b"]);
    world.check();
}

#[test]
fn parallel_rings_at_most_max_fork_and_fills_up() {
    let mut world = World::new(sales("max_fork = 2", &["a", "b", "c"]));
    world.call("sales");
    assert_eq!(world.rung(), ["a", "b"]);
    world.refuses("a", Refusal::Busy);
    assert_eq!(world.rung(), ["c"]);
    world.check();
}

#[test]
fn an_agent_who_becomes_free_joins_a_parallel_ring() {
    let mut world = World::bare(sales("", &["a", "b"]));
    world.agent("a", AgentChange::Registered { registered: true });
    world.call("sales");
    world.agent("b", AgentChange::Registered { registered: true });
    assert_eq!(world.all_rung(), ["a", "b"]);
    world.check();
}

#[test]
fn agent_groups_are_searched_in_order() {
    let text = "
        [[response_group]]
        uri = \"sip:sales@example.com\"
        [[response_group.agent_group]]
        name = \"first\"
        agents = [\"sip:a@example.com\"]
        [[response_group.agent_group]]
        name = \"second\"
        method = \"serial\"
        agents = [\"sip:b@example.com\", \"sip:c@example.com\"]";
    let mut world = World::new(config(text));
    world.call("sales");
    world.refuses("a", Refusal::Busy).refuses("b", Refusal::Busy);
    assert_eq!(world.all_rung(), ["a", "b", "c"]);
    world.call("sales");
    assert_eq!(world.rung(), Vec::<String>::new());
    world.check();
}

#[test]
fn attendant_alone_rings_who_talks_outside() {
    for (method, rung) in [("attendant", &["bob"][..]), ("parallel", &[]), ("serial", &[])] {
        let mut world = World::new(sales(&format!("method = {method:?}"), &["bob"]));
        world.agent("bob", AgentChange::ExternalCalls { count: 1, unanswered: None });
        world.call("sales");
        assert_eq!(world.all_rung(), rung, "{method}");
        world.check();
    }
}
