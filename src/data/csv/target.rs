//! The column to predict: classes with their names in order, or numbers as they are.

use cuttlefish_core::data::Task;

use super::CsvProblem;
use super::columns::Column;

/// Class names are sorted, as numbers if all are; numbers are kept as they are.
pub(super) fn task(target_name: String, target: Column) -> Result<Task, CsvProblem> {
    let (codes, names, numeric) = match target {
        Column::Numbers(targets) => {
            return Ok(Task::Regression {
                target_name,
                targets,
            });
        }
        // A date is no target, `dates` says so.
        Column::Moments(numbers) => {
            return Ok(Task::Regression {
                target_name,
                targets: numbers.iter().map(|&number| number as f32).collect(),
            });
        }
        Column::Categories {
            codes,
            names,
            numeric,
        } => (codes, names, numeric),
    };
    if let [class] = names.as_slice() {
        return Err(CsvProblem::OneClass {
            column: target_name,
            class: class.clone(),
        });
    }
    let mut order: Vec<usize> = (0..names.len()).collect();
    if numeric {
        let number = |i: usize| names[i].parse::<f64>().unwrap_or(f64::NAN);
        order.sort_by(|&a, &b| number(a).total_cmp(&number(b)));
    } else {
        order.sort_by(|&a, &b| names[a].cmp(&names[b]));
    }
    let mut rank = vec![0; names.len()];
    for (place, &code) in order.iter().enumerate() {
        rank[code] = place as u32;
    }
    Ok(Task::Classification {
        class_names: order.iter().map(|&code| names[code].clone()).collect(),
        labels: codes.iter().map(|&code| rank[code as usize]).collect(),
    })
}
