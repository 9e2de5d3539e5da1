use super::*;
use chrono::TimeDelta;
use domain::reading::Metered;
use proptest::prelude::*;

const HOUR: i64 = 3_600;

fn registers(import_mwh: i64, export_mwh: i64) -> Registers {
    let register = |mwh| Register::from_mwh(mwh).unwrap();
    Registers { import: register(import_mwh), export: register(export_mwh), production: None }
}

fn before(import_mwh: i64, export_mwh: i64) -> Before {
    Before {
        registers: registers(import_mwh, export_mwh),
        slot_end: DateTime::UNIX_EPOCH,
        serial: Some("S1".to_owned()),
    }
}

/// An hour later, on a connection of 10 kW, with counters of 32 bits in Wh.
fn now(import_mwh: i64, export_mwh: i64) -> Now {
    Now {
        registers: registers(import_mwh, export_mwh),
        slot_end: DateTime::UNIX_EPOCH + TimeDelta::seconds(HOUR),
        serial: Some("S1".to_owned()),
        power_w: None,
        resolution_mwh: 1_000,
        coarsest_mwh: 1_000,
        span_mwh: [Some((1 << 32) * 1_000); 2],
        max_power_w: 10_000,
    }
}

#[test]
fn f21_a_blip_to_zero_is_held_and_forgotten() {
    let mut continuity = Continuity::default();
    let last = before(1_000_000, 10);
    assert_eq!(continuity.judge(Some(&last), &now(0, 0)), Verdict::Hold(Doubt::Fell));
    assert_eq!(continuity.judge(Some(&last), &now(1_000_001, 10)), Verdict::Follow);
    assert_eq!(continuity.judge(Some(&last), &now(0, 0)), Verdict::Hold(Doubt::Fell));
}

#[test]
fn f22_a_true_reset_begins_a_new_epoch() {
    let mut continuity = Continuity::default();
    let last = before(1_000_000, 10);
    let verdicts = [5, 7, 9].map(|mwh| continuity.judge(Some(&last), &now(mwh, 0)));
    let fell = Doubt::Fell;
    assert_eq!(verdicts, [Verdict::Hold(fell), Verdict::Hold(fell), Verdict::NewEpoch(fell)]);
}

#[test]
fn registers_that_jump_about_are_never_believed() {
    let mut continuity = Continuity::default();
    let last = before(1_000_000, 10);
    for mwh in [9, 8, 7, 6, 5, 4] {
        assert_eq!(continuity.judge(Some(&last), &now(mwh, 0)), Verdict::Hold(Doubt::Fell));
    }
}

#[test]
fn f23_a_rollover_is_one_only_if_its_energy_can_have_flowed() {
    let mut continuity = Continuity::default();
    let end = (1 << 32) * 1_000;
    let near = before(end - 1_000_000, 10);
    assert_eq!(continuity.judge(Some(&near), &now(2_000_000, 10)), Verdict::RolledOver([true, false]));
    // 11 kWh in an hour is more than 10 kW.
    assert_eq!(continuity.judge(Some(&near), &now(10_000_000, 10)), Verdict::Hold(Doubt::Fell));
    let far = before(end / 2, 10);
    assert_eq!(continuity.judge(Some(&far), &now(2_000_000, 10)), Verdict::Hold(Doubt::Fell));
    let endless = Now { span_mwh: [None; 2], ..now(2_000_000, 10) };
    assert_eq!(continuity.judge(Some(&near), &endless), Verdict::Hold(Doubt::Fell));
}

#[test]
fn f24_a_bogus_maximum_and_an_impossible_jump_are_held() {
    let mut continuity = Continuity::default();
    let last = before(1_000_000, 10);
    let most = 1_000_000 + 10_000_000 + 1_000;
    assert_eq!(continuity.judge(Some(&last), &now(most, 10)), Verdict::Follow);
    assert_eq!(continuity.judge(Some(&last), &now(most + 1, 10)), Verdict::Hold(Doubt::Jumped));
    assert_eq!(continuity.judge(Some(&last), &now(i64::MAX, 10)), Verdict::Hold(Doubt::Jumped));
    assert_eq!(continuity.judge(Some(&last), &now(1_000_500, 10)), Verdict::Follow);
}

/// What flows at one boundary alone may have begun just then: it takes two.
#[test]
fn f26_a_counter_that_stands_still_while_power_flows_is_held_for_as_long_as_it_does() {
    let mut continuity = Continuity::default();
    let last = before(1_000_000, 10);
    let flowing = |power_w| Now { power_w: Some(power_w), ..now(1_000_000, 10) };
    assert_eq!(continuity.judge(Some(&last), &flowing(-600)), Verdict::Follow);
    for _ in 0..10 {
        assert_eq!(continuity.judge(Some(&last), &flowing(-500)), Verdict::Hold(Doubt::Stuck));
    }
    assert_eq!(continuity.judge(Some(&last), &flowing(20)), Verdict::Follow);
    assert_eq!(continuity.judge(Some(&last), &now(1_000_000, 10)), Verdict::Follow);
}

#[test]
fn f26_a_load_that_begins_at_the_boundary_or_turns_round_is_no_stuck_counter() {
    let last = before(1_000_000, 10);
    for powers_w in [[0, 2_000], [2_000, -2_000], [2_000, 3]] {
        let mut continuity = Continuity::default();
        for power_w in powers_w {
            // A meter that counts 100 Wh at a time.
            let now = Now { power_w: Some(power_w), resolution_mwh: 100_000, ..now(1_000_000, 10) };
            assert_eq!(continuity.judge(Some(&last), &now), Verdict::Follow, "{powers_w:?}");
        }
    }
}

fn producing(mut registers: Registers, mwh: i64) -> Registers {
    registers.production = Some(Register::from_mwh(mwh).unwrap());
    registers
}

#[test]
fn f26_a_stuck_counter_is_seen_although_production_moves_in_coarser_steps() {
    let mut continuity = Continuity::default();
    let mut last = before(1_000_000, 10);
    last.registers = producing(last.registers, 0);
    let mut now = Now { power_w: Some(500), coarsest_mwh: 1_000_000, ..now(1_000_000, 10) };
    now.registers = producing(now.registers, 1_000_000);
    assert_eq!(continuity.judge(Some(&last), &now), Verdict::Follow);
    assert_eq!(continuity.judge(Some(&last), &now), Verdict::Hold(Doubt::Stuck));
}

#[test]
fn f24_a_bogus_production_is_left_out_and_holds_nothing() {
    let mut continuity = Continuity::default();
    let mut last = before(1_000_000, 10);
    last.registers = producing(last.registers, 5_000_000);
    let mut said = Vec::new();
    for mwh in [5_000_100, 0, 5_000_200, i64::MAX, 5_000_300, 7, 8, 9, 10] {
        let mut now = now(1_000_001, 10);
        now.registers = producing(now.registers, mwh);
        assert_eq!(continuity.judge(Some(&last), &now), Verdict::Follow, "{mwh}");
        let (production, flag) = continuity.production(Some(&last), &now);
        said.push((production.map(Register::mwh), flag));
    }
    let out = (None, Some("production_implausible"));
    let told = |mwh| (Some(mwh), None);
    let anew = (Some(9), Some("production_begins_anew"));
    assert_eq!(said, [told(5_000_100), out, told(5_000_200), out, told(5_000_300), out, out, anew, told(10)]);
}

#[test]
fn f27_another_serial_number_is_held_and_then_a_new_epoch() {
    let mut continuity = Continuity::default();
    let last = before(1_000_000, 10);
    let other = |mwh| Now { serial: Some("S2".to_owned()), ..now(mwh, 10) };
    let verdicts = [5, 6, 7].map(|mwh| continuity.judge(Some(&last), &other(mwh)));
    let exchanged = Doubt::Exchanged;
    assert_eq!(verdicts, [Verdict::Hold(exchanged), Verdict::Hold(exchanged), Verdict::NewEpoch(exchanged)]);
    // A serial number that is not told for once says nothing.
    let untold = Now { serial: None, ..now(1_000_001, 10) };
    assert_eq!(continuity.judge(Some(&last), &untold), Verdict::Follow);
}

#[test]
fn f30_both_registers_may_rise_and_the_first_reading_always_counts() {
    let mut continuity = Continuity::default();
    assert_eq!(continuity.judge(None, &now(1, 1)), Verdict::Follow);
    assert_eq!(continuity.judge(Some(&before(1, 1)), &now(2, 2)), Verdict::Follow);
}

proptest! {
    #[test]
    fn f29_the_sum_of_slots_is_end_minus_start_exactly(steps in prop::collection::vec(0.0_f32..100.0, 1..50)) {
        use crate::decode::{Scalar, Unit, to_register};
        let mut kwh = 1_000.0_f32;
        let mut readings = Vec::new();
        for step in steps {
            kwh += step;
            let step = f64::from(kwh.next_up()) - f64::from(kwh);
            let scalar = Scalar::Float { value: f64::from(kwh), step };
            let mwh = to_register(&scalar, 0, Unit::KilowattHour).unwrap().register.mwh();
            readings.push(registers(mwh, 0));
        }
        let sum: i64 = readings
            .windows(2)
            .map(|pair| Metered::between(&pair[0], &pair[1]).unwrap().import.wh())
            .sum();
        let ends = Metered::between(&readings[0], &readings[readings.len() - 1]).unwrap().import.wh();
        prop_assert_eq!(sum, ends);
    }

    #[test]
    fn never_panics(
        old in (0..i64::MAX, 0..i64::MAX), new in (0..i64::MAX, 0..i64::MAX),
        power_w in any::<Option<i64>>(), span in any::<Option<i64>>(), max_power_w in any::<i64>()
    ) {
        let now = Now { power_w, span_mwh: [span; 2], max_power_w, ..now(new.0, new.1) };
        let _ = Continuity::default().judge(Some(&before(old.0, old.1)), &now);
    }
}
