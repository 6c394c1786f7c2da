//! Schedules over both changes of the clock, the ends of months, and times that were missed.

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn recurring(cron: &str, zone: &str, missed: Missed) -> Recurring {
    Recurring { cron: cron.parse().unwrap(), time_zone: zone.parse().unwrap(), missed }
}

/// The next times, in the zone's own words.
fn times(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
    let recurring = recurring(cron, zone, Missed::Skip);
    let mut after = at(from);
    let mut times = Vec::new();
    for _ in 0..count {
        after = recurring.next(after).unwrap();
        times.push(after.to_zoned(recurring.time_zone.zone.clone()).strftime("%m-%d %H:%M %Z").to_string());
    }
    times
}

#[test]
fn a_fixed_time_in_the_gap_is_due_right_after_it() {
    // Helsinki, 29 March 2026: 03:00 EET becomes 04:00 EEST.
    let times = times("30 3 * * *", "Europe/Helsinki", "2026-03-27T12:00:00Z", 3);
    assert_eq!(times, ["03-28 03:30 EET", "03-29 04:00 EEST", "03-30 03:30 EEST"]);
}

#[test]
fn a_fixed_time_that_comes_twice_is_due_once() {
    // Helsinki, 25 October 2026: 04:00 EEST becomes 03:00 EET.
    let times = times("30 3 * * *", "Europe/Helsinki", "2026-10-23T12:00:00Z", 3);
    assert_eq!(times, ["10-24 03:30 EEST", "10-25 03:30 EEST", "10-26 03:30 EET"]);
}

#[test]
fn steps_keep_their_distance_over_both_changes() {
    let spring = times("*/30 * * * *", "Europe/Helsinki", "2026-03-29T00:30:00Z", 3);
    assert_eq!(spring, ["03-29 04:00 EEST", "03-29 04:30 EEST", "03-29 05:00 EEST"]);
    let autumn = times("*/30 * * * *", "Europe/Helsinki", "2026-10-25T00:00:00Z", 4);
    assert_eq!(autumn, ["10-25 03:30 EEST", "10-25 03:00 EET", "10-25 03:30 EET", "10-25 04:00 EET"]);
}

#[test]
fn months_without_the_day_are_left_out_and_the_last_day_is_l() {
    let thirty_first = times("0 4 31 * *", "UTC", "2026-01-31T12:00:00Z", 3);
    assert_eq!(thirty_first, ["03-31 04:00 UTC", "05-31 04:00 UTC", "07-31 04:00 UTC"]);
    let last = times("0 4 L * *", "UTC", "2028-01-31T12:00:00Z", 3);
    assert_eq!(last, ["02-29 04:00 UTC", "03-31 04:00 UTC", "04-30 04:00 UTC"]);
}

#[test]
fn a_day_of_the_month_and_a_day_of_the_week_are_alternatives() {
    let fridays = times("0 4 13 * 5", "UTC", "2026-11-08T00:00:00Z", 3);
    assert_eq!(fridays, ["11-13 04:00 UTC", "11-20 04:00 UTC", "11-27 04:00 UTC"]);
    let both = times("0 4 14 * 5", "UTC", "2026-11-08T00:00:00Z", 2);
    assert_eq!(both, ["11-13 04:00 UTC", "11-14 04:00 UTC"]);
}

#[test]
fn leap_days_come_in_leap_years() {
    let leap = recurring("0 4 29 2 *", "UTC", Missed::Skip);
    assert_eq!(leap.next(at("2026-03-01T00:00:00Z")), Some(at("2028-02-29T04:00:00Z")));
    // 2100 is none.
    assert_eq!(leap.next(at("2096-03-01T00:00:00Z")), Some(at("2104-02-29T04:00:00Z")));
}

#[test]
fn a_missed_time_is_skipped_or_made_up_for_once() {
    let [since, now] = [at("2026-11-20T12:00:00Z"), at("2026-11-24T12:00:00Z")];
    let skip = Schedule::Recurring(recurring("0 2 * * *", "UTC", Missed::Skip));
    let once = Schedule::Recurring(recurring("0 2 * * *", "UTC", Missed::Once));
    let latest = at("2026-11-24T02:00:00Z");
    assert_eq!(skip.look(since, since, now), Look::Skipped(latest));
    assert_eq!(once.look(since, since, now), Look::Due(latest));
    assert_eq!(once.look(since, now, at("2026-11-24T13:00:00Z")), Look::Nothing);
    // The alarm rang a little late: that is not missed.
    assert_eq!(skip.look(since, at("2026-11-24T01:00:00Z"), at("2026-11-24T02:00:30Z")), Look::Due(latest));
}

#[test]
fn a_look_sees_each_time_exactly_once_over_both_changes() {
    for (cron, from, hours) in [
        ("30 3 * * *", "2026-03-27T00:00:00Z", 96),
        ("30 3 * * *", "2026-10-23T00:00:00Z", 96),
        ("15 * * * *", "2026-10-24T00:00:00Z", 48),
        ("0 0 1 * *", "2026-02-20T00:00:00Z", 24 * 100),
    ] {
        let schedule = Schedule::Recurring(recurring(cron, "Europe/Helsinki", Missed::Once));
        let end = at(from) + hours.hours();
        let mut expected = Vec::new();
        let mut next = schedule.next(at(from), at(from));
        while let Some(time) = next.filter(|time| *time <= end) {
            expected.push(time);
            next = schedule.next(at(from), time);
        }
        let mut seen = Vec::new();
        let mut since = at(from);
        while since < end {
            let now = since + 1.minute();
            if let Look::Due(time) = schedule.look(at(from), since, now) {
                seen.push(time);
            }
            since = now;
        }
        assert_eq!(seen, expected, "{cron}");
        assert!(expected.len() >= 3, "{cron}");
    }
}

#[test]
fn what_happens_once_happens_even_if_it_was_missed() {
    let submitted = at("2026-11-24T12:00:00Z");
    let before = at("2026-11-24T11:59:59Z");
    let schedule = Schedule::Once(When::AfterDays(2));
    let due = at("2026-11-26T12:00:00Z");
    assert_eq!(schedule.next(submitted, submitted), Some(due));
    assert_eq!(schedule.look(submitted, before, at("2026-12-24T00:00:00Z")), Look::Due(due));
    assert_eq!(schedule.look(submitted, due, at("2026-12-24T00:00:00Z")), Look::Nothing);
    assert_eq!(Schedule::default().look(submitted, before, submitted), Look::Due(submitted));
}

#[test]
fn times_to_come_are_checked() {
    let now = at("2026-11-24T12:00:00Z");
    assert_eq!(When::Now.later(now), Ok(None));
    assert!(When::At(now).later(now).is_err());
    assert!(When::AfterDays(0).later(now).is_err());
    assert!(When::AfterDays(3651).later(now).is_err());
    assert_eq!(When::AfterDays(1).later(now), Ok(Some(at("2026-11-25T12:00:00Z"))));
}

#[test]
fn bad_patterns_and_zones_say_what_would_be_right() {
    for bad in ["", "* * * *", "60 0 * * *", "0 0 30 2 *", "* * * * * *"] {
        let error = bad.parse::<Cron>().unwrap_err();
        assert!(error.contains("30 2 * * *"), "{error}");
    }
    let error = "Helsinki".parse::<Zone>().unwrap_err();
    assert!(error.contains("Europe/Helsinki"), "{error}");
}
