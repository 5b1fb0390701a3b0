use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// The rendered samples by name with labels, and the families by name with type.
fn parse(text: &str) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (mut samples, mut families) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(families.insert(name.to_owned(), kind.to_owned()).is_none(), "{name} stands twice");
        } else if !line.starts_with("# HELP ") {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            let value = value.parse().expect("a number");
            assert!(samples.insert(name.to_owned(), value).is_none(), "{name} stands twice");
        }
    }
    (samples, families)
}

fn sample(metrics: &Metrics, name: &str) -> f64 {
    let (samples, _) = parse(&metrics.render());
    *samples.get(name).unwrap_or_else(|| panic!("{name} is absent"))
}

/// Metrics in which every family has a sample.
fn filled() -> Metrics {
    let metrics = Metrics::new();
    metrics.sip_request("INVITE");
    metrics.command("addUser", true);
    metrics.leg_ended(TerminationReason::Busy, None);
    metrics.leg_quality(&LegFigures::default());
    metrics.recording_ended(true);
    metrics.set_load(1, 2, 3);
    metrics.set_trunk_registered("carrier", true);
    metrics.set_sip(&SipFigures { rejected: &[("via", 1)], dropped: &[("garbage", 2)], ..SipFigures::default() });
    metrics.set_media(&MediaFigures::default());
    metrics.set_cdrs(&CdrFigures { failures: 3, lost: 1, waiting: 2 });
    metrics
}

#[test]
fn the_catalogue_is_what_dashboards_rely_on() {
    let (_, families) = parse(&filled().render());
    let listed: Vec<String> = families.iter().map(|(name, kind)| format!("{name} {kind}")).collect();
    assert_eq!(
        listed,
        [
            "convoke_build_info gauge",
            "convoke_call_duration_seconds histogram",
            "convoke_calls_refused_total counter",
            "convoke_cdr_write_failures_total counter",
            "convoke_cdrs_lost_total counter",
            "convoke_cdrs_waiting gauge",
            "convoke_commands_total counter",
            "convoke_conferences gauge",
            "convoke_conferences_ended_total counter",
            "convoke_conferences_started_total counter",
            "convoke_conversations_total counter",
            "convoke_journal_failures_total counter",
            "convoke_leg_buffer_delay_max_seconds histogram",
            "convoke_leg_buffer_delay_seconds histogram",
            "convoke_leg_concealed_ratio histogram",
            "convoke_leg_jitter_seconds histogram",
            "convoke_leg_late_ratio histogram",
            "convoke_leg_loss_ratio histogram",
            "convoke_leg_mos histogram",
            "convoke_leg_one_way_reports_total counter",
            "convoke_leg_round_trip_seconds histogram",
            "convoke_legs gauge",
            "convoke_legs_ended_total counter",
            "convoke_legs_without_room_total counter",
            "convoke_media_commands_refused_total counter",
            "convoke_media_conferences gauge",
            "convoke_media_conferences_failed_total counter",
            "convoke_media_legs gauge",
            "convoke_media_ports_draining gauge",
            "convoke_media_ports_taken_total counter",
            "convoke_media_worker_busy_ratio gauge",
            "convoke_missed_call_notices_total counter",
            "convoke_mixer_listeners_waited_total counter",
            "convoke_mixer_tick_longest_seconds gauge",
            "convoke_mixer_tick_seconds_total counter",
            "convoke_mixer_ticks_late_total counter",
            "convoke_mixer_ticks_skipped_total counter",
            "convoke_mixer_ticks_total counter",
            "convoke_recordings_ended_total counter",
            "convoke_registered_users gauge",
            "convoke_rtp_packets_dropped_total counter",
            "convoke_rtp_packets_total counter",
            "convoke_rtp_packets_unsent_total counter",
            "convoke_sip_authentication_failures_total counter",
            "convoke_sip_connections gauge",
            "convoke_sip_dropped_total counter",
            "convoke_sip_messages_total counter",
            "convoke_sip_registrations_total counter",
            "convoke_sip_rejected_total counter",
            "convoke_sip_requests_total counter",
            "convoke_sip_transactions gauge",
            "convoke_trunk_registered gauge",
        ]
    );
}

#[test]
fn names_follow_the_rules_of_the_format() {
    let (_, families) = parse(&filled().render());
    for (name, kind) in families {
        assert!(name.starts_with("convoke_"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        assert!(!name.split('_').any(|word| matches!(word, "ms" | "us")), "{name} is not in base units");
    }
}

#[test]
fn events_are_counted_under_their_labels() {
    let metrics = Metrics::new();
    metrics.command("addUser", true);
    metrics.command("addUser", false);
    metrics.command("addUser", false);
    metrics.call_refused("account_calls");
    metrics.no_room("no-port");
    metrics.conference_started();
    metrics.leg_ended(TerminationReason::Departed, Some(Duration::from_secs(90)));
    metrics.leg_ended(TerminationReason::Busy, None);
    for (name, value) in [
        ("convoke_commands_total{command=\"addUser\",outcome=\"success\"}", 1.0),
        ("convoke_commands_total{command=\"addUser\",outcome=\"failure\"}", 2.0),
        ("convoke_conferences_started_total", 1.0),
        ("convoke_legs_ended_total{reason=\"departed\"}", 1.0),
        ("convoke_legs_without_room_total{reason=\"no-port\"}", 1.0),
        ("convoke_legs_without_room_total{reason=\"overload\"}", 0.0),
        ("convoke_legs_ended_total{reason=\"busy\"}", 1.0),
        ("convoke_legs_ended_total{reason=\"internal-error\"}", 0.0),
        ("convoke_call_duration_seconds_count", 1.0),
        ("convoke_call_duration_seconds_sum", 90.0),
        ("convoke_call_duration_seconds_bucket{le=\"60\"}", 0.0),
        ("convoke_call_duration_seconds_bucket{le=\"180\"}", 1.0),
    ] {
        assert_eq!(sample(&metrics, name), value, "{name}");
    }
}

#[test]
fn gauges_follow_and_counters_never_go_back() {
    let metrics = Metrics::new();
    for (received, transactions) in [(5, 9), (5, 9), (8, 2), (3, 0)] {
        metrics.set_sip(&SipFigures { received, transactions, rejected: &[("via", 4)], ..SipFigures::default() });
    }
    assert_eq!(sample(&metrics, "convoke_sip_messages_total{direction=\"in\"}"), 8.0);
    assert_eq!(sample(&metrics, "convoke_sip_transactions"), 0.0);
    assert_eq!(sample(&metrics, "convoke_sip_rejected_total{reason=\"via\"}"), 4.0);
    for millis in [1_500, 2_000, 1_000] {
        let tick_time = Duration::from_millis(millis);
        metrics.set_media(&MediaFigures { tick_time, tick_longest: tick_time, ..MediaFigures::default() });
    }
    assert_eq!(sample(&metrics, "convoke_mixer_tick_seconds_total"), 2.0);
    assert_eq!(sample(&metrics, "convoke_mixer_tick_longest_seconds"), 1.0);
    for (busy_per_mille, legs) in [(900, 7), (250, 4)] {
        metrics.set_media(&MediaFigures { busy_per_mille, legs, ports_taken: legs, ..MediaFigures::default() });
    }
    assert_eq!(sample(&metrics, "convoke_media_worker_busy_ratio"), 0.25);
    assert_eq!(sample(&metrics, "convoke_media_legs"), 4.0);
    assert_eq!(sample(&metrics, "convoke_media_ports_taken_total"), 7.0);
    metrics.set_load(1, 2, 3);
    metrics.set_load(4, 5, usize::MAX);
    assert_eq!(sample(&metrics, "convoke_legs"), 5.0);
    assert_eq!(sample(&metrics, "convoke_registered_users"), i64::MAX as f64);
}

#[test]
fn labels_are_closed_sets() {
    let metrics = filled();
    let words: Vec<&'static str> =
        (0..500).map(|number| &*Box::leak(format!("word-{number}").into_boxed_str())).collect();
    let figures: Vec<(&'static str, u64)> = words.iter().map(|word| (*word, 1)).collect();
    let fill = || {
        for word in &words {
            metrics.sip_request(word);
            metrics.command(word, true);
        }
        metrics.set_sip(&SipFigures { rejected: &figures, dropped: &figures, ..SipFigures::default() });
    };
    fill();
    let (first, _) = parse(&metrics.render());
    fill();
    let (second, _) = parse(&metrics.render());
    let names = |samples: BTreeMap<String, f64>| samples.into_keys().collect::<BTreeSet<_>>();
    let told_apart = 500.0 - (Words::MAX as f64 - 1.0);
    assert_eq!(second["convoke_sip_requests_total{method=\"other\"}"], 1_000.0);
    assert_eq!(second["convoke_sip_dropped_total{reason=\"other\"}"], told_apart);
    assert_eq!(second["convoke_commands_total{command=\"other\",outcome=\"success\"}"], told_apart * 2.0);
    assert_eq!(names(first), names(second));
}

#[test]
fn the_quality_of_legs_is_told_without_naming_them() {
    let metrics = Metrics::new();
    let good = LegFigures {
        received_packets: 990,
        lost_packets: 10,
        late_packets: 20,
        mos_hundredths: 428,
        buffer_delay: Duration::from_millis(40),
        buffer_delay_max: Duration::from_millis(120),
        ..LegFigures::default()
    };
    metrics.leg_quality(&good);
    metrics.leg_quality(&LegFigures { one_way: true, ..LegFigures::default() });
    assert_eq!(sample(&metrics, "convoke_leg_mos_count"), 1.0);
    assert_eq!(sample(&metrics, "convoke_leg_loss_ratio_sum"), 0.01);
    assert_eq!(sample(&metrics, "convoke_leg_late_ratio_sum"), 0.02);
    assert_eq!(sample(&metrics, "convoke_leg_buffer_delay_seconds_sum"), 0.04);
    assert_eq!(sample(&metrics, "convoke_leg_buffer_delay_max_seconds_sum"), 0.12);
    assert_eq!(sample(&metrics, "convoke_leg_one_way_reports_total"), 1.0);
    assert_eq!(sample(&metrics, "convoke_leg_round_trip_seconds_count"), 0.0);
}
