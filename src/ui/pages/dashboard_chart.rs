//! The chart of the last 24 hours: bars for what was accepted, confirmed and failed in each, and the same as a table.

use crate::{
    domain::{Zone, pages::dashboard::HourCount},
    ui::{
        components::zone,
        format::{count, time_of_day},
    },
    words::{n, t, tell},
};
use leptos::prelude::*;

/// The chart's own units: the page makes it as wide as there is room.
const WIDTH: usize = 960;
const HEIGHT: usize = 200;
/// Where bars stand, and how high the highest is.
const BASE: usize = 168;
const TALLEST: usize = 140;
/// Room for the numbers on the left.
const LEFT: usize = 48;
/// An hour, a bar, and what is between two bars.
const STEP: usize = 38;
const BAR: usize = 9;
const GAP: usize = 1;
/// Every so many hours one is named.
const NAMED: usize = 3;

/// What is counted, in the order of the bars.
const SERIES: [(&str, &str); 3] =
    [("accepted", n!("Accepted notifications")), ("confirmed", n!("Confirmed deliveries")), ("failed", n!("Failed attempts"))];

const fn values(hour: &HourCount) -> [u64; 3] {
    [hour.accepted, hour.confirmed, hour.failed]
}

/// A round number that nothing is higher than: 1, 2 or 5 with zeros.
fn ceiling(most: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [1, 2, 5] {
            let bound = unit.saturating_mul(step);
            if most <= bound {
                return bound.max(2);
            }
        }
        match unit.checked_mul(10) {
            Some(next) => unit = next,
            None => return u64::MAX,
        }
    }
}

/// How high a bar is. What happened at all can be seen.
fn height(value: u64, ceiling: u64) -> usize {
    let share = u128::from(value) * TALLEST as u128 / u128::from(ceiling.max(1));
    let height = usize::try_from(share).unwrap_or(TALLEST);
    if value > 0 { height.max(2) } else { 0 }
}

/// The section of the dashboard.
pub fn chart(hours: &[HourCount]) -> AnyView {
    let zone = zone();
    let sums = hours.iter().map(values).fold([0; 3], |sum, add| [sum[0] + add[0], sum[1] + add[1], sum[2] + add[2]]);
    let most = hours.iter().flat_map(values).max().unwrap_or(0);
    let legend: Vec<_> = SERIES
        .iter()
        .zip(sums)
        .map(|((class, name), sum)| view! { <li><span class=format!("key {class}") aria-hidden="true"></span>{tell(name)}" "<strong>{count(sum)}</strong></li> })
        .collect();
    let content = if most == 0 {
        view! { <p class="muted">{t!("Nothing happened in the last 24 hours.")}</p> }.into_any()
    } else {
        let top = ceiling(most);
        let label = t!(
            "The last 24 hours. Accepted notifications: {accepted}. Confirmed deliveries: {confirmed}. Failed attempts: {failed}.",
            accepted = sums[0],
            confirmed = sums[1],
            failed = sums[2]
        );
        let groups: Vec<_> = hours.iter().enumerate().map(|(place, hour)| group(place, hour, top, &zone)).collect();
        let view_box = format!("0 0 {WIDTH} {HEIGHT}");
        view! {
            <svg class="chart" viewBox=view_box role="img" aria-label=label>
                {line(0, top)}
                {line(top / 2, top)}
                {line(top, top)}
                {groups}
            </svg>
        }
        .into_any()
    };
    view! {
        <section class="panel" aria-labelledby="hours">
            <div class="list-head">
                <h2 id="hours">{t!("Last 24 hours")}" "<span class="muted">{t!("by the clock of {zone}", zone = zone.name())}</span></h2>
                <ul class="legend">{legend}</ul>
            </div>
            {content}
            <details class="chart-table">
                <summary>{t!("The same as a table")}</summary>
                {table(hours, &zone)}
            </details>
        </section>
    }
    .into_any()
}

/// A line with its number.
fn line(value: u64, top: u64) -> AnyView {
    let y = BASE - usize::try_from(u128::from(value) * TALLEST as u128 / u128::from(top.max(1))).unwrap_or(0);
    let (x, end) = (LEFT.to_string(), WIDTH.to_string());
    view! {
        <line class="grid" x1=x x2=end y1=y.to_string() y2=y.to_string()></line>
        <text class="axis" x=(LEFT - 8).to_string() y=(y + 4).to_string() text-anchor="end">{short(value)}</text>
    }
    .into_any()
}

/// `950`, `12 k`, `3 M`: there is little room.
fn short(value: u64) -> String {
    match value {
        0..=9_999 => count(value),
        10_000..=9_999_999 => format!("{} k", count(value / 1_000)),
        _ => format!("{} M", count(value / 1_000_000)),
    }
}

fn group(place: usize, hour: &HourCount, top: u64, zone: &Zone) -> AnyView {
    let x = LEFT + place * STEP + 4;
    let from = time_of_day(zone.local(hour.from));
    let bars: Vec<_> = SERIES
        .iter()
        .zip(values(hour))
        .enumerate()
        .filter(|(_, (_, value))| *value > 0)
        .map(|(bar, ((class, _), value))| {
            let high = height(value, top);
            let x = x + bar * (BAR + GAP);
            view! { <rect class=format!("column {class}") x=x.to_string() y=(BASE - high).to_string() width=BAR.to_string() height=high.to_string() rx="1"></rect> }
        })
        .collect();
    let named = place.is_multiple_of(NAMED).then(|| {
        // Where there is little room every second name is left out.
        let class = if place.is_multiple_of(NAMED * 2) { "axis time" } else { "axis time spare" };
        view! { <text class=class x=(x + 14).to_string() y=(BASE + 20).to_string() text-anchor="middle">{from.clone()}</text> }
    });
    let title = t!(
        "From {from}: {accepted} accepted, {confirmed} confirmed, {failed} failed",
        from,
        accepted = count(hour.accepted),
        confirmed = count(hour.confirmed),
        failed = count(hour.failed)
    );
    view! {
        <g>
            <title>{title}</title>
            <rect class="hour" x=x.to_string() y=(BASE - TALLEST).to_string() width=(STEP - 2).to_string() height=TALLEST.to_string()></rect>
            {bars}
            {named}
        </g>
    }
    .into_any()
}

fn table(hours: &[HourCount], zone: &Zone) -> AnyView {
    // The newest first, as everywhere.
    let rows: Vec<_> = hours
        .iter()
        .rev()
        .map(|hour| {
            let from = zone.local(hour.from);
            view! {
                <tr>
                    <th scope="row">{time_of_day(from)}" "<span class="zone">{zone.short(hour.from)}</span></th>
                    <td class="number">{count(hour.accepted)}</td>
                    <td class="number">{count(hour.confirmed)}</td>
                    <td class="number">{count(hour.failed)}</td>
                </tr>
            }
        })
        .collect();
    view! {
        <table>
            <thead>
                <tr>
                    <th scope="col">{t!("Hour from")}</th>
                    <th scope="col" class="number">{t!("Accepted")}</th>
                    <th scope="col" class="number">{t!("Confirmed")}</th>
                    <th scope="col" class="number">{t!("Failed")}</th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_bar_has_room_and_the_lowest_can_be_seen() {
        assert_eq!([0, 1, 2, 3, 7, 10, 11, 501].map(ceiling), [2, 2, 2, 5, 10, 10, 20, 1_000]);
        assert_eq!((height(0, 1_000), height(1, 1_000_000), height(500, 1_000), height(1_000, 1_000)), (0, 2, 70, 140));
        assert!(height(u64::MAX, ceiling(u64::MAX)) <= TALLEST);
        assert_eq!([0, 9_999, 12_000, 12_345_678].map(short), ["0", "9,999", "12 k", "12 M"]);
        const { assert!(LEFT + 24 * STEP <= WIDTH) };
    }
}
