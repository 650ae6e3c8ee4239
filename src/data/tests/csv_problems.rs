//! Tables that are refused, and with which words; and that nothing panics.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use cuttlefish_core::topology::spec::{CsvSource, CsvTask, Data, Missing};

use super::csv::{options, read};
use crate::data::csv::{CsvProblem, parse};
use crate::data::{Error, load};

#[track_caller]
pub fn check_problem(text: &str, options: &CsvSource, expected: &str) {
    match parse(text.as_bytes().to_vec(), options) {
        Ok(_) => panic!("no problem found, expected: {expected}"),
        Err(problem) => assert_eq!(problem.to_string(), expected),
    }
}

#[test]
fn files_that_are_no_tables_are_refused() {
    let check = |text: &str, expected: &str| check_problem(text, &options(), expected);
    let empty = "the file is empty (a header line and one line a row are needed)";
    check("", empty);
    check(
        " \r\n\u{feff}\n",
        "there is no column `y`, named by `target` (names are those of the header line)",
    );
    check("\u{feff}\n", empty);
    check(
        "x,y\n",
        "there is a header line and no rows (add one line a row)",
    );
    check(
        "1,2\n3,4\n",
        "line 1 looks like a row: it starts with `1` and has numbers only (add a header line \
         with the names of the columns)",
    );
    check(
        "x,y\n1,2\n\n1,2,3\n",
        "line 4 has 3 cells, the header has 2 (correct the line; a cell with the delimiter in it \
         must be quoted)",
    );
    check(
        "x,y\r\n1,2\r\n1\r\n",
        "line 3 has 1 cells, the header has 2 (correct the line; a cell with the delimiter in it \
         must be quoted)",
    );
    check(
        "x,y\n1,2\n1,\"2\n1,2\n",
        "line 3: a quoted cell is not closed before the file ends (add the closing `\"`)",
    );
    check(
        &format!("x,y\n1,{}\n", "z".repeat(4097)),
        "line 2: a cell is longer than the limit of 4096 bytes (is a closing quotation mark \
         missing?)",
    );
    check(
        &format!("x,y\n{}", ",".repeat(5 << 20)),
        "line 2 is longer than the limit of 4194304 bytes (is this a CSV file?)",
    );
    check(
        &format!("{}y\n", "x,".repeat(10_000)),
        "10001 columns, the limit is 10000 (use fewer columns)",
    );
    let problem = parse(b"x,y\n1,2\n1,\xff\n".to_vec(), &options()).unwrap_err();
    assert_eq!(problem, CsvProblem::Encoding { line: 3 });
}

#[test]
fn rows_and_values_are_limited() {
    let text = format!("x,y\n{}", "1,2\n".repeat(10_000_001));
    let expected = "more than 10000000 rows, the limit (use fewer rows)";
    check_problem(&text, &options(), expected);
    // Few cells, each of which becomes 100 features.
    let header = (0..30).map(|i| format!("c{i},")).collect::<String>();
    let text = (0..90_000).fold(format!("{header}y\n"), |mut text, i| {
        text.push_str(&format!("k{},", i % 100).repeat(30));
        writeln!(text, "{}", i % 2).unwrap();
        text
    });
    let expected = "90000 rows of 3000 features are more than the limit of 268435456 numbers (use \
                    fewer rows, or list columns under `ignore`)";
    check_problem(&text, &options(), expected);
}

#[test]
fn columns_that_do_not_fit_are_named() {
    let check = |text: &str, ignore: &[&str], expected: &str| {
        let ignore = ignore.iter().map(|&name| name.to_owned()).collect();
        let options = CsvSource {
            ignore,
            ..options()
        };
        check_problem(text, &options, expected);
    };
    check(
        "x,Yy\n1,2\n",
        &[],
        "there is no column `y`, named by `target` (names are those of the header line)",
    );
    check(
        "length,y\n1,2\n",
        &["lenght"],
        "there is no column `lenght`, named by `ignore` (did you mean `length`?)",
    );
    check(
        "x,y\n1,2\n",
        &["y"],
        "column `y` is the target and listed under `ignore` (remove it from one)",
    );
    check(
        "x,y\n1,2\n",
        &["x"],
        "no columns are left beside the target `y` (shorten `ignore`)",
    );
    check(
        "x,y,x\n1,2,3\n",
        &[],
        "columns number 1 and 3 are both called `x` (rename one)",
    );
    check(
        ",y\n1,2\n",
        &[],
        "column number 1 has no name (name it in the header, or list `\"\"` under `ignore`)",
    );
}

#[test]
fn cells_that_do_not_fit_are_named() {
    let check = |text: &str, expected: &str| check_problem(text, &options(), expected);
    let not_finite = |text| {
        format!(
            "line 3, column `x`: `{text}` is not a finite 32-bit number (correct it, or leave the \
             cell empty)"
        )
    };
    for text in ["inf", "-Infinity", "1e39", "-nan"] {
        check(&format!("x,y\n1,a\n{text},b\n"), &not_finite(text));
    }
    check_problem(
        "x,y\n1,2.5\n2,lots\n",
        &CsvSource {
            task: CsvTask::Regression,
            ..options()
        },
        "line 3, column `y`: `lots` is not a number (correct it, or set `task` to \
         `classification`)",
    );
    // Numbers, and as many codes.
    let many = |first: &str, rows: usize| {
        (0..rows).fold(format!("id,y\n{first},a\n"), |mut text, i| {
            let code = if i % 2 == 0 { "" } else { "x" };
            writeln!(text, "{code}{i},b").unwrap();
            text
        })
    };
    check(
        &many("z1", 998),
        "column `id` has 999 different values and is not a number throughout: line 2 has `z1`; \
         the limit is 100 (list it under `ignore`, or correct its numbers)",
    );
    assert_eq!(read(&many("z1", 99), &options()).0.features, 100);
    let many = many("z", 1500).replace("id,y", "y,x");
    check(
        &many,
        "target `y` has 1501 different values, the limit for classes is 1000 (set `task` to \
         `regression` if it is a number)",
    );
    check(
        "x,y\n1,a\n2,a\n",
        "target `y` has the one class `a` in all rows (two are needed)",
    );
}

#[test]
fn missing_cells_are_listed() {
    let text = "x,z,y\n,1,a\nNA,2,b\n3,NaN,a\n4,null,b\n5,?,\n6,NULL,a\n";
    check_problem(
        text,
        &options(),
        "7 cells are missing: line 2, column `x`; line 3, column `x`; line 4, column `z`; line 5, \
         column `z`; line 6, column `z`; ... (fill them in, list the column under `ignore`, or \
         set `missing` to `mean`, `median` or `drop_row`)",
    );
    check_problem(
        text,
        &CsvSource {
            missing: Missing::Median,
            ..options()
        },
        "1 cell is missing: line 6, column `y`, and it is the target (fill them in, or set \
         `missing` to `drop_row`)",
    );
    let missing = Missing::DropRow;
    let options = CsvSource {
        missing,
        ..options()
    };
    check_problem(
        text,
        &options,
        "each of the 6 rows has a missing cell, so none is left (choose another `missing`)",
    );
    check_problem(
        "x,z,y\n,1,a\n,2,b\n",
        &options,
        "column `x` has no values (list it under `ignore`)",
    );
}

fn spec(path: &str, test_split: f64) -> Data {
    Data::Csv(CsvSource {
        path: path.to_owned(),
        test_split,
        ..options()
    })
}

#[test]
fn path_is_relative_to_the_topology_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tables")).unwrap();
    fs::write(dir.path().join("tables/t.csv"), "x,y\n1,a\n2,b\n").unwrap();
    let loaded = load(&spec("tables/t.csv", 0.0), dir.path(), Path::new("")).unwrap();
    assert_eq!(loaded.dataset.rows(), 2);
    assert!(loaded.encoder.is_some());
    let error = load(&spec("t.csv", 0.0), dir.path(), Path::new("")).unwrap_err();
    assert!(matches!(error, Error::Read { .. }));
    let error = load(&spec("tables", 0.0), dir.path(), Path::new("")).unwrap_err();
    let text = format!(
        "read `{}`: it is a directory (name a regular file)",
        dir.path().join("tables").display()
    );
    assert_eq!(error.to_string(), text);
}

#[cfg(unix)]
#[test]
fn special_and_huge_files_are_refused() {
    let error = load(&spec("/dev/zero", 0.0), Path::new(""), Path::new("")).unwrap_err();
    assert!(error.to_string().contains("a special file"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let file = fs::File::create(dir.path().join("t.csv")).unwrap();
    // Sparse: the size alone decides.
    file.set_len((1 << 30) + 1).unwrap();
    let error = load(&spec("t.csv", 0.0), dir.path(), Path::new("")).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit, .. } if limit == 1 << 30));
}

#[test]
fn shares_out_of_range_are_refused() {
    for share in [-0.1, 1.0, f64::NAN] {
        let error = load(&spec("t.csv", share), Path::new(""), Path::new("")).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Share {
                    key: "test_split",
                    ..
                }
            ),
            "{error}"
        );
    }
}
