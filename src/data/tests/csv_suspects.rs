//! Columns that nearly are numbers or dates: what is in the way is named.

use cuttlefish_core::topology::spec::{CsvSource, CsvTask, Missing};

use super::csv::{floats, options, read};
use super::csv_problems::check_problem;
use crate::data::csv::parse;

/// A table whose column `x` has these cells, behind each other.
fn table(cells: impl Iterator<Item = String>) -> String {
    let rows = cells
        .enumerate()
        .map(|(row, cell)| format!("{cell};{}\n", row % 2));
    ["x;y\n".to_owned()].into_iter().chain(rows).collect()
}

/// Cells of 90 rows, of which one, in line 42, is another.
fn with_one(cell: impl Fn(usize) -> String, other: &str) -> String {
    table((0..90).map(|row| match row {
        40 => other.to_owned(),
        _ => cell(row),
    }))
}

fn date(row: usize) -> String {
    format!("2020-{:02}-{:02}", 1 + row / 28, 1 + row % 28)
}

#[test]
fn one_wrong_cell_does_not_make_classes_of_numbers_or_dates() {
    let misfits = |text: &str, what: &str, cell: &str| {
        check_problem(
            text,
            &options(),
            &format!(
                "column `x`: 89 of 90 are {what}; line 42 has `{cell}` (correct it, leave the cell empty and set \
                 `missing`, or list the column under `categories` or `ignore`)"
            ),
        );
    };
    misfits(&with_one(date, "unknown"), "dates", "unknown");
    misfits(&with_one(date, "2020-02-30"), "dates", "2020-02-30");
    misfits(&with_one(|row| row.to_string(), "n/a"), "numbers", "n/a");
    let thousands = |row: usize| format!("{},000", row + 1);
    misfits(&with_one(thousands, "many"), "numbers", "many");
    misfits(&with_one(|row| format!("{row} %"), "-"), "numbers", "-");
    // The first one too.
    let first = table((0..90).map(|row| match row {
        0 => "unknown".to_owned(),
        _ => date(row),
    }));
    let problem = parse(first.into(), &options()).unwrap_err().to_string();
    assert!(
        problem.starts_with("column `x`: 89 of 90 are dates; line 2 has `unknown` ("),
        "{problem}"
    );
    // A column of the target has other ways out.
    let text = with_one(|row| row.to_string(), "n/a").replace("x;y", "y;x");
    check_problem(
        &text,
        &options(),
        "column `y`: 89 of 90 are numbers; line 42 has `n/a` (correct it, leave the cell empty and set `missing`, \
         or set `task: classification`)",
    );
    let text = with_one(date, "unknown").replace("x;y", "y;x");
    check_problem(
        &text,
        &options(),
        "column `y`: 89 of 90 are dates; line 42 has `unknown` (choose another target, or set `task: \
         classification`)",
    );
}

#[test]
fn numbers_and_dates_of_several_formats_are_told_apart() {
    let decimals = |row: usize| format!("{row}{}5", if row.is_multiple_of(2) { '.' } else { ',' });
    check_problem(
        &table((0..90).map(decimals)),
        &options(),
        "column `x`: all 90 are numbers, but not in one format: line 2 has `0.5`, line 3 has `1,5` (write them \
         alike, or list the column under `categories` or `ignore`)",
    );
    let dates = |row: usize| match row {
        50 => "20.02.2020".to_owned(),
        _ => date(row),
    };
    check_problem(
        &table((0..90).map(dates)),
        &options(),
        "column `x`: all 90 are dates, but not in one format: line 2 has `2020-01-01`, line 52 has `20.02.2020` \
         (write them alike, or list the column under `categories` or `ignore`)",
    );
}

#[test]
fn names_among_numbers_are_names() {
    let features = |text: &str| read(text, &options()).0.features;
    // A tenth of them is more than a slip of the pen.
    let codes = |row: usize| match row % 9 {
        0 => format!("A{row}"),
        _ => row.to_string(),
    };
    assert_eq!(features(&table((0..90).map(codes))), 90);
    // Few are levels.
    let levels = |row: usize| match row {
        40 => "more".to_owned(),
        _ => (row % 19).to_string(),
    };
    assert_eq!(features(&table((0..90).map(levels))), 20);
    // Who says so means it.
    let categories = vec!["x".to_owned()];
    let options = CsvSource {
        categories,
        ..options()
    };
    let (dataset, _) = read(&with_one(date, "unknown"), &options);
    assert_eq!(dataset.features, 90);
}

#[test]
fn numbers_with_a_sign_are_pointed_out() {
    for cells in [
        ["5 %", "12.5%", "7"],
        ["$1,000.50", "-$5", "$7"],
        ["1.000,50 \u{20ac}", "5 \u{20ac}", "7 \u{20ac}"],
        ["(5)", "7", "[8]"],
        ["\u{2212}5%", "+7%", "8%"],
    ] {
        let text = table(cells.iter().map(|cell| (*cell).to_owned()));
        check_problem(
            &text,
            &options(),
            &format!(
                "line 2, column `x`: `{}` is a number with a sign, and all of its column are numbers (remove the \
                 sign, or list the column under `categories` or `ignore`)",
                cells[0]
            ),
        );
    }
    for word in ["%", "($)", "[10,20)", "5%%", "50 Hz"] {
        let text = table(["5%", word].iter().map(|cell| (*cell).to_owned()));
        assert_eq!(read(&text, &options()).0.features, 2, "{word}");
    }
}

#[test]
fn dropped_rows_do_not_say_what_a_column_is() {
    let missing = Missing::DropRow;
    let task = CsvTask::Auto;
    let options = CsvSource {
        missing,
        task,
        ..options()
    };
    let (dataset, _) = read("a,x,y\n1,2,p\n,many,q\n3,4,q\n5,6,p\n", &options);
    assert_eq!((dataset.features, dataset.rows()), (2, 3));
    assert!(floats(&dataset).iter().all(|value| value.is_finite()));
    // Nor do they hide it.
    let text = "a;x;y\n1;2,5;p\n;many;q\n3;4,5;q\n";
    let problem = parse(text.into(), &options).unwrap_err().to_string();
    assert!(
        problem.starts_with("line 2, column `x`: `2,5` is a number in another format"),
        "{problem}"
    );
    read("a,x,y\n1,2,p\n,1e99,q\n3,4,q\n", &options);
}
