//! Tables as people have them, and targets in their units, through the program.

use std::fmt::Write as _;

use serde_json::Value;

use super::{TestProgram, text};

/// House prices of about 200,000: a number follows from two others, with a little noise.
fn houses(program: &TestProgram, run: &str, more: &str) -> String {
    let mut table = "area,rooms,price\n".to_owned();
    for i in 0..400_u32 {
        let (area, rooms) = (40 + i * 37 % 160, 1 + i * 13 % 6);
        let noise = f64::from(i * 7919 % 1000) - 500.0;
        let price = 30_000.0 + 1500.0 * f64::from(area) + 9000.0 * f64::from(rooms) + 4.0 * noise;
        writeln!(table, "{area},{rooms},{price}").expect("memory is enough");
    }
    program.write("houses.csv", &table);
    program.write(
        &format!("{run}.yaml"),
        &format!(
            "name: {run}\nseed: 1\ndata: {{source: csv, path: houses.csv, target: price{more}}}\nnetwork:\n  layers:\n    \
             - {{type: dense, units: 16, activation: relu}}\n    - {{type: dense, name: price, units: 1}}\n  loss: \
             mean_squared_error\ntraining: {{epochs: 30, batch_size: 32, optimizer: {{type: sgd, learning_rate: \
             0.01, momentum: 0.9}}}}\n"
        ),
    )
}

fn number(document: &Value, path: &str) -> f64 {
    let number = document.pointer(path).and_then(Value::as_f64);
    number.unwrap_or_else(|| panic!("{path} in {document}"))
}

#[test]
fn house_prices_are_learned_at_the_first_try_and_answered_in_their_unit() {
    let program = TestProgram::new();
    let file = houses(&program, "houses", "");
    let result = program.json(&["train", &file, "--json"]);
    assert!(number(&result, "/test/r2") > 0.97, "{result}");
    // Squares of some thousands, not shares of a variance.
    let mse = number(&result, "/test/mse");
    assert!((1e6..1e9).contains(&mse), "{result}");
    assert!(
        (number(&result, "/test/loss") / mse - 1.0).abs() < 1e-5,
        "{result}"
    );
    assert!(number(&result, "/test/mae") > 500.0, "{result}");

    let evaluated = program.json(&["eval", "houses", "--json"]);
    assert_eq!(evaluated["evaluation"], result["test"]);
    let new = program.write("new.csv", "area,rooms\n100,3\n60,1\n");
    let answers = program.json(&["predict", "houses", "--input", &new, "--json"]);
    for (row, right) in [207_000.0, 129_000.0].into_iter().enumerate() {
        let answer = number(&answers, &format!("/predictions/{row}/prediction"));
        assert!(
            (answer - right).abs() < 15_000.0,
            "{answer} instead of {right}"
        );
    }
    let answers = program.ok(&["predict", "houses", "--input", &new]);
    assert!(answers.starts_with("row,line,price\n0,2,2"), "{answers}");

    let unscaled = houses(&program, "unscaled", ", target_scaling: none");
    let output = program.output(&["train", &unscaled]);
    assert!(!output.status.success());
    let stderr = text(&output.stderr);
    assert!(
        stderr.contains("not finite") || stderr.contains("not a finite"),
        "{stderr}"
    );
}

#[test]
fn a_scaled_target_has_the_same_bits_in_every_grouping_and_after_a_stop() {
    let program = TestProgram::new();
    let file = houses(&program, "whole", "");
    let whole = program.json(&["train", &file, "--json"]);
    let file = houses(&program, "single", "");
    let single = program.json(&["train", &file, "--neurons-per-unit", "1", "--json"]);
    assert_eq!(whole["weights_sha256"], single["weights_sha256"]);
    assert_eq!(whole["test"], single["test"]);
    let file = houses(&program, "half", "");
    program.json(&["train", &file, "--epochs", "15", "--json"]);
    let resumed = program.json(&["train", "--resume", "half", "--epochs", "30", "--json"]);
    assert_eq!(whole["weights_sha256"], resumed["weights_sha256"]);
    assert_eq!(whole["test"], resumed["test"]);
    let (code, stderr) = program.fails(&[
        "train",
        "--resume",
        "half",
        "--set",
        "data.target_scaling=min_max",
    ]);
    assert_eq!(code, 2, "{stderr}");
    // Another scaling is another training.
    let file = houses(&program, "shares", ", target_scaling: min_max");
    let shares = program.json(&["train", &file, "--json"]);
    assert_ne!(whole["weights_sha256"], shares["weights_sha256"]);
    assert!(number(&shares, "/test/r2") > 0.9, "{shares}");
}

#[test]
fn an_export_says_how_its_answers_become_the_target() {
    let program = TestProgram::new();
    let file = houses(&program, "houses", "");
    program.ok(&["train", &file, "--epochs", "1", "-q"]);
    let path = program.home.path().join("h.safetensors");
    let name = path.to_str().expect("a plain path");
    let output = program.output(&["export", "houses", "-o", name]);
    let stderr = text(&output.stderr);
    let bytes = std::fs::read(&path).expect("it was written");
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("safetensors");
    let about = metadata.metadata().as_ref().expect("metadata");
    let of = |key: &str| about[key].parse::<f64>().expect("a number");
    assert_eq!(about["target"], "price");
    let (offset, scale) = (of("target_offset"), of("target_scale"));
    assert!((150_000.0..250_000.0).contains(&offset) && (50_000.0..90_000.0).contains(&scale));
    let formula = format!("price = {offset} + {scale} * output");
    assert_eq!(about["target_formula"], formula);
    let told = format!("the network was trained on a scaled target: {formula}\n");
    assert!(stderr.ends_with(&told), "{stderr}");
    // Nothing of that where nothing is scaled.
    let file = houses(&program, "plain", ", target_scaling: none");
    program.ok(&["train", &file, "--epochs", "0", "-q"]);
    program.ok(&["export", "plain", "-o", name, "--overwrite"]);
    let bytes = std::fs::read(&path).expect("it was written");
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).expect("safetensors");
    let about = metadata.metadata().as_ref().expect("metadata");
    assert!(!about.contains_key("target"));
}

#[test]
fn imported_weights_predict_as_before_whatever_the_target_of_the_run_is_scaled_by() {
    let program = TestProgram::new();
    let file = houses(&program, "houses", "");
    program.ok(&["train", &file, "-q"]);
    let new = program.write("new.csv", "area,rooms\n100,3\n60,1\n150,6\n");
    let predictions = |run: &str| -> Vec<f64> {
        let answers = program.json(&["predict", run, "--input", &new, "--json"]);
        let of = |row| number(&answers, &format!("/predictions/{row}/prediction"));
        (0..3).map(of).collect()
    };
    let right = predictions("houses");
    let path = |name: &str| {
        let path = program.home.path().join(name);
        path.to_str().expect("a plain path").to_owned()
    };
    let (weights, arrays) = (path("h.safetensors"), path("h.npz"));
    program.ok(&["export", "houses", "-o", &weights]);
    program.ok(&["export", "houses", "-o", &arrays, "--format", "npz"]);
    // Ten times the prices, and some of the areas.
    let table = std::fs::read_to_string(path("houses.csv")).expect("a table");
    let dearer = table.lines().take(200).enumerate();
    let dearer = dearer.map(|(row, line)| format!("{line}{}\n", if row == 0 { "" } else { "0" }));
    program.write("dearer.csv", &dearer.collect::<String>());
    let import = |from: &str, name: &str, sets: &[&str]| {
        let name = format!("name={name}");
        let mut arguments = vec!["import", from, "--into", &file, "--set", &name];
        arguments.extend(sets.iter().flat_map(|set| ["--set", set]));
        program.output(&arguments)
    };
    let same = import(&weights, "same", &[]);
    assert!(!text(&same.stderr).contains("note:"), "{same:?}");
    assert_eq!(predictions("same"), right);
    for (name, set) in [
        ("plain", "data.target_scaling=none"),
        ("shares", "data.target_scaling=min_max"),
        ("dearer", "data.path=dearer.csv"),
    ] {
        let output = import(&weights, name, &[set]);
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("note: converted layer `price`, which answered as `price = "),
            "{stderr}"
        );
        // Columns of other rows are standardised otherwise, and nothing can be done about that.
        if name == "dearer" {
            assert!(
                stderr.contains(
                    "note: the network was trained on a table whose columns have other means"
                ),
                "{stderr}"
            );
            continue;
        }
        for (answer, right) in predictions(name).into_iter().zip(&right) {
            assert!(
                (answer / right - 1.0).abs() < 1e-5,
                "{name}: {answer} instead of {right}"
            );
        }
    }
    // Without a place for it, a file does not say.
    let stderr = text(&import(&arrays, "arrays", &[]).stderr);
    assert!(
        stderr.contains("note: the file does not say on which scale the network answers, and the run takes its answers as `target = "),
        "{stderr}"
    );
    let stderr = text(&import(&arrays, "bare", &["data.target_scaling=none"]).stderr);
    assert!(!stderr.contains("note:"), "{stderr}");
    // Another function of the sum is not converted.
    let output = import(
        &weights,
        "sigmoid",
        &["network.layers[1].activation=sigmoid"],
    );
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    assert!(
        stderr.contains("failed to use the weights: `price = ")
            && stderr.contains("and in the run `price = "),
        "{stderr}"
    );
}

/// An export of a German bank: `;`, decimal commas, dates with points, and an encoding of Windows.
const SALES: &[u8] = b"Verk\xe4ufer;Datum;Betrag;R\xfcckgabe\n";

#[test]
fn an_export_of_a_bank_is_read_as_it_is() {
    let program = TestProgram::new();
    let mut sales = SALES.to_vec();
    for i in 0..200_u32 {
        let (month, amount) = (1 + i % 12, 500 + i * 37 % 400);
        let kind = if month > 6 { "ja" } else { "nein" };
        let name = ["J\u{f6}rg", "Anna"][i as usize % 2];
        let row = format!(
            "{name};{:02}.{month:02}.2020;1.{amount:03},{};{kind}\n",
            1 + i % 28,
            i % 10
        );
        let latin = row
            .chars()
            .map(|c| u8::try_from(u32::from(c)).expect("a letter of Latin 1"));
        sales.extend(latin.collect::<Vec<u8>>());
    }
    std::fs::write(program.home.path().join("sales.csv"), &sales).expect("a file");
    let topology = |options: &str| {
        program.write(
            "sales.yaml",
            &format!(
                "name: sales\ndata:\n  source: csv\n  path: sales.csv\n  target: R\u{fc}ckgabe\n{options}network:\n  layers:\n    \
                 - {{type: dense, units: 8, activation: tanh}}\n    - {{type: dense, units: 2, activation: \
                 softmax}}\n  loss: sparse_categorical_crossentropy\ntraining: {{epochs: 40, batch_size: 16, \
                 optimizer: {{type: adam, learning_rate: 0.01}}}}\n"
            ),
        )
    };
    // Each message says what to add, until nothing is left to say.
    let mut options = String::new();
    for (problem, option) in [
        ("`encoding`, to `windows-1252`", "encoding: windows-1252"),
        (
            "`decimal: \",\"` and `thousands: \".\"`",
            "decimal: \",\"\n  thousands: .",
        ),
        (
            "`dates: [{column: Datum, format: \"%d.%m.%Y\"}]`",
            "dates: [{column: Datum, format: \"%d.%m.%Y\", parts: [month, weekday]}]",
        ),
    ] {
        let (code, stderr) = program.fails(&["train", &topology(&options)]);
        assert_eq!(code, 3, "{stderr}");
        assert!(stderr.contains(problem), "{problem}: {stderr}");
        writeln!(options, "  {option}").expect("memory is enough");
    }
    let result = program.json(&["train", &topology(&options), "--json"]);
    assert!(number(&result, "/test/accuracy") > 0.95, "{result}");
    // Further rows are written alike.
    let new = program.home.path().join("new.csv");
    std::fs::write(
        &new,
        b"Datum;Betrag;Verk\xe4ufer\n03.02.2021;1.000,5;J\xf6rg\n03.11.2021;999;Anna\n",
    )
    .expect("a file");
    let new = new.to_str().expect("a plain path");
    let output = program.output(&["predict", "sales", "--input", new]);
    let (answers, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let lines: Vec<&str> = answers.lines().collect();
    assert!(
        lines[1].starts_with("0,2,nein,") && lines[2].starts_with("1,3,ja,"),
        "{answers}"
    );
}
