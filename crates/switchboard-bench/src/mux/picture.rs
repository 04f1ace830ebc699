//! The report as a picture.

use berkeley::selector::Backend;

use super::{MuxReport, Point, Series};
use crate::chart::{Line, Panel, Picture, Style};
use crate::table::{grouped, short, time};

/// Draws both measurements, with the machine, the command and the day (each as the caller tells
/// it) below them.
#[must_use]
pub fn picture(report: &MuxReport, command: &str, day: &str) -> Picture {
    let many = if report.busy == 1 {
        "socket is"
    } else {
        "sockets are"
    };
    let beside = Panel {
        title: "What one event costs beside idle sockets".to_owned(),
        note: format!(
            "{} {many} busy; CPU time of one event, sending and receiving included; \
             lower is better",
            report.busy
        ),
        x_title: "idle sockets".to_owned(),
        x_label: count,
        y_label: time_tick,
        lines: beside_idle(report),
    };
    let busy = Panel {
        title: "Throughput when all sockets are busy".to_owned(),
        note: "events per second of CPU, one byte received and sent for each; higher is better"
            .to_owned(),
        x_title: "busy sockets".to_owned(),
        x_label: count,
        y_label: short_tick,
        lines: report
            .series
            .iter()
            .map(|series| line(series, |point| point.all_busy_per_s.median))
            .collect(),
    };
    Picture {
        panels: vec![beside, busy],
        footer: vec![
            format!("{}; {day}", report.machine),
            format!(
                "{command}   (median of {} rounds of {} s)",
                report.rounds, report.run_seconds
            ),
        ],
    }
}

fn beside_idle(report: &MuxReport) -> Vec<Line> {
    let mut lines: Vec<Line> = report
        .series
        .iter()
        .map(|series| line(series, |point| point.beside_idle_ns.median))
        .collect();
    let floor = report.floor_ns.iter();
    lines.push(Line {
        name: "no selector".to_owned(),
        style: Style::Floor,
        points: floor
            .map(|(sockets, ns)| (*sockets as f64, ns.median))
            .collect(),
        end: None,
    });
    lines
}

fn line(series: &Series, figure: impl Fn(&Point) -> f64) -> Line {
    let place = Backend::ALL
        .iter()
        .position(|backend| backend.name() == series.backend);
    let points = series.points.iter();
    Line {
        name: series.backend.clone(),
        style: Style::Numbered(place.unwrap_or(0)),
        points: points
            .map(|point| (point.sockets as f64, figure(point)))
            .collect(),
        end: series
            .ended_at
            .map(|_| format!("{} ends at 1,024 descriptors", series.backend)),
    }
}

fn count(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a power of ten of an axis"
    )]
    grouped(value as usize)
}

/// `1 µs` for `1.00 µs`: the places on an axis are whole.
fn time_tick(ns: f64) -> String {
    time(ns).replace(".00", "").replace(".0", "")
}

fn short_tick(value: f64) -> String {
    short(value).replace(".00", "").replace(".0", "")
}
