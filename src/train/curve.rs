//! The numbers of each epoch as a table (CSV) and as a picture (SVG).

use std::fmt::Write as _;

/// The numbers of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub epoch: usize,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// The epoch's averages, the total last.
    pub losses: Vec<(&'static str, f64)>,
    /// recall@1, recall@5 and mAP, if the epoch was evaluated.
    pub scores: Option<[f64; 3]>,
    pub images_per_second: f64,
}

const SCORES: [&str; 3] = ["recall1", "recall5", "mAP"];

/// A header, and a line for each epoch.
pub(super) fn csv(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let losses: Vec<&str> = first.losses.iter().map(|(name, _)| *name).collect();
    let mut text = format!("epoch,learning_rate,{},{},images_per_second\n", losses.join(","), SCORES.join(","));
    for row in rows {
        let _ = write!(text, "{},{}", row.epoch, row.learning_rate);
        for (_, value) in &row.losses {
            let _ = write!(text, ",{value:.6}");
        }
        for score in row.scores.map_or([None; 3], |scores| scores.map(Some)) {
            let _ = match score {
                Some(score) => write!(text, ",{score:.5}"),
                None => write!(text, ","),
            };
        }
        let _ = writeln!(text, ",{:.1}", row.images_per_second);
    }
    text
}

/// Reads a table that [`csv`] wrote. `names` are those of the losses.
pub(super) fn parse(text: &str, names: &[&'static str]) -> Vec<Row> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let losses =
            names.iter().enumerate().map(|(at, &name)| Some((name, number(2 + at)?))).collect::<Option<_>>()?;
        let after = 2 + names.len();
        let scores = (|| Some([number(after)?, number(after + 1)?, number(after + 2)?]))();
        let (epoch, learning_rate) = (fields.first()?.parse().ok()?, number(1)?);
        Some(Row { epoch, learning_rate, losses, scores, images_per_second: number(after + 3)? })
    };
    text.lines().skip(1).filter_map(row).collect()
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 50.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 40.0;

/// The loss (left axis) and the scores (right axis, 0 to 1) over the epochs.
pub(super) fn svg(rows: &[Row]) -> String {
    let total = |row: &Row| row.losses.last().map_or(f64::NAN, |(_, value)| *value);
    let most = rows.iter().map(total).filter(|value| value.is_finite()).fold(0.0, f64::max).max(1e-9);
    let epochs = rows.last().map_or(1, |row| row.epoch).max(2) as f64;
    let x = |epoch: usize| LEFT + (WIDTH - LEFT - RIGHT) * (epoch as f64 - 1.0) / (epochs - 1.0);
    let y = |share: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share.clamp(0.0, 1.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let _ = writeln!(
            text,
            "<path d=\"M{LEFT} {0:.1}H{1}\" stroke=\"#ddd\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4:.2}</text>\
             <text x=\"{5}\" y=\"{3:.1}\">{share:.2}</text>",
            y(share),
            WIDTH - RIGHT,
            LEFT - 6.0,
            y(share) + 4.0,
            most * share,
            WIDTH - RIGHT + 6.0,
        );
    }
    let mut line = |name: &str, colour: &str, place: f64, points: Vec<(usize, f64)>| {
        let points = points.iter().filter(|(_, share)| share.is_finite());
        let points: Vec<String> = points.map(|&(epoch, share)| format!("{:.1},{:.1}", x(epoch), y(share))).collect();
        let _ = writeln!(
            text,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>\
             <text x=\"{place}\" y=\"{}\" fill=\"{colour}\">{name}</text>",
            points.join(" "),
            HEIGHT - 10.0,
        );
    };
    line("loss", "#c33", LEFT, rows.iter().map(|row| (row.epoch, total(row) / most)).collect());
    for (at, (name, colour)) in SCORES.into_iter().zip(["#36c", "#393", "#a6a"]).enumerate() {
        let scores = rows.iter().filter_map(|row| Some((row.epoch, row.scores?[at])));
        line(name, colour, LEFT + 90.0 * (at + 1) as f64, scores.collect());
    }
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">epoch {epochs}</text>\n</svg>",
        WIDTH - RIGHT,
        HEIGHT - 10.0
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back() {
        let row = |epoch, scores| Row {
            epoch,
            learning_rate: 0.01,
            losses: vec![("CELoss", 2.5), ("loss", 3.25)],
            scores,
            images_per_second: 70.5,
        };
        let rows = [row(1, None), row(2, Some([0.5, 0.75, 0.25]))];
        assert_eq!(parse(&csv(&rows), &["CELoss", "loss"]), rows);
        assert_eq!(csv(&rows).lines().nth(1), Some("1,0.01,2.500000,3.250000,,,,70.5"));
        let picture = svg(&rows);
        assert!(picture.contains("<polyline points=\"50.0,20.0 590.0,20.0\""), "{picture}");
        assert!(picture.contains("recall1"));
    }
}
