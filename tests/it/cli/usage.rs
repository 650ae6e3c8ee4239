//! Output of the commands, and their failures.

use super::*;

#[test]
fn a_newcomer_trains_digits_and_uses_the_run() {
    let program = TestProgram::new();
    let result = program.json(&["train", DIGITS, "--json"]);
    for key in [
        "run",
        "target",
        "ticks",
        "epochs",
        "samples_per_second",
        "wall_seconds",
        "train",
        "validation",
        "test",
        "weights_sha256",
        "rewinds",
    ] {
        assert!(!result[key].is_null(), "the document has `{key}`");
    }
    assert!(
        result["test"]["accuracy"].as_f64() >= Some(0.97),
        "{result}"
    );
    assert!(result["rewinds"].is_u64());
    assert_eq!(result["run"], "digits");

    let digest = program.ok(&["digest", "digits"]);
    assert_eq!(result["weights_sha256"], digest.trim());
    let listed = &program.json(&["ps", "--json"])[0];
    assert_eq!(
        (&listed["run"], &listed["state"]),
        (&"digits".into(), &"complete".into())
    );
    let evaluated = program.json(&["eval", "digits", "--json"]);
    assert_eq!(
        evaluated["evaluation"], result["test"],
        "eval sees what training saw"
    );
    let inspected = program.json(&["inspect", "digits/hidden/3", "--json"]);
    assert_eq!(inspected["weights"].as_array().map(Vec::len), Some(64));
    assert!(program.ok(&["inspect", "digits"]).contains(digest.trim()));
    for plot in ["curves.svg", "curves.png"] {
        assert!(program.home.path().join("runs/digits").join(plot).exists());
    }

    program.ok(&["down", "digits"]);
    assert_eq!(program.json(&["ps", "--json"]), serde_json::json!([]));
    assert!(!program.home.path().join("runs/digits").exists());
}

#[test]
fn mistakes_are_named_with_a_code_and_change_nothing() {
    let program = TestProgram::new();
    program.ok(&["train", DIGITS, "--epochs", "1", "-q"]);
    let broken = program.write(
        "broken.yaml",
        "name: Bad\ndata: {source: digits}\nnetwork:\n  layers:\n    - {type: dense, unit: 10}\n  loss: mse\n",
    );
    let no_data = program.write(
        "csv.yaml",
        "name: t\ndata: {source: csv, path: absent.csv, target: y}\nnetwork:\n  layers: [{type: dense, \
         units: 1}]\n  loss: mean_squared_error\n",
    );
    let wide = program.write(
        "wide.yaml",
        "name: t\ndata: {source: digits}\nnetwork:\n  layers: [{type: dense, units: 7, activation: \
         softmax}]\n  loss: sparse_categorical_crossentropy\n",
    );
    let cases: [(&[&str], i32, &[&str]); 13] = [
        (
            &["train", "absent.yaml"],
            2,
            &["absent.yaml", "topology/digits.yaml"],
        ),
        (
            &["train", &broken],
            2,
            &[
                "5:",
                "did you mean `units`",
                "mean_squared_error",
                "Bad",
                "problems in",
            ],
        ),
        (&["train", &no_data], 3, &["absent.csv"]),
        (&["train", &wide], 2, &["7", "10"]),
        (
            &[
                "train",
                DIGITS,
                "--set",
                "name=x",
                "--set",
                "training.epoch=3",
            ],
            2,
            &["training.epoch=3", "epochs"],
        ),
        (
            &["train", DIGITS],
            4,
            &["digits", "--resume digits", "--overwrite"],
        ),
        (&["train"], 2, &["FILE"]),
        (
            &["train", "--resume", "absent"],
            4,
            &["absent", "cuttlefish ps"],
        ),
        (&["digest", "../digits"], 4, &["../digits"]),
        (&["inspect", "digits/hiden"], 2, &["hiden", "hidden, digit"]),
        (&["inspect", "digits/hidden/128"], 2, &["0 to 127"]),
        (
            &["predict", "digits", "--input", DIGITS],
            3,
            &["digits.yaml", "columns"],
        ),
        (
            &["train", DIGITS, "--target", "mars"],
            2,
            &["mars", "local"],
        ),
    ];
    for (args, code, expected) in cases {
        let (exit, stderr) = program.fails(args);
        assert_eq!(exit, code, "{args:?}: {stderr}");
        for part in expected {
            assert!(stderr.contains(part), "{args:?} names `{part}`: {stderr}");
        }
    }
}

#[test]
fn divergence_is_named_and_has_its_own_code() {
    let program = TestProgram::new();
    let args = [
        "train",
        DIGITS,
        "--set",
        "training.optimizer.learning_rate=1e30",
        "-q",
    ];
    let output = program.output(&args);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("not finite"),
        "{}",
        text(&output.stderr)
    );
}

/// A table whose class and number follow from its columns.
fn table(program: &TestProgram) -> String {
    let mut lines = "size,colour,price,kind\n".to_owned();
    for i in 0..300 {
        let size = f64::from(i * 37 % 100) / 10.0;
        let (colour, add) = [("red", 1.0), ("green", 2.0), ("blue", 4.0)][i as usize % 3];
        let kind = if size + add > 7.0 { "large" } else { "small" };
        lines.push_str(&format!("{size},{colour},{},{kind}\n", 3.0 * size + add));
    }
    program.write("table.csv", &lines)
}

#[test]
fn a_table_is_learned_as_classes_and_as_numbers() {
    let program = TestProgram::new();
    table(&program);
    let classes = program.write(
        "classes.yaml",
        "name: classes\ndata: {source: csv, path: table.csv, target: kind, ignore: [price]}\nnetwork:\n  \
         layers:\n    - {type: dense, units: 16, activation: tanh}\n    - {type: dense, units: 2, \
         activation: softmax}\n  loss: categorical_crossentropy\ntraining: {epochs: 60, batch_size: 16, \
         optimizer: {type: adam, learning_rate: 0.01}}\n",
    );
    let numbers = program.write(
        "numbers.yaml",
        "name: numbers\ndata: {source: csv, path: table.csv, target: price, ignore: [kind]}\nnetwork:\n  \
         layers: [{type: dense, units: 1}]\n  loss: mean_squared_error\ntraining: {epochs: 100, \
         batch_size: 16, optimizer: {type: adam, learning_rate: 0.1}}\n",
    );
    let result = program.json(&["train", &classes, "--json"]);
    assert!(result["test"]["accuracy"].as_f64() > Some(0.95), "{result}");
    let result = program.json(&["train", &numbers, "--json"]);
    assert!(result["test"]["r2"].as_f64() > Some(0.99), "{result}");
    assert!(result["test"]["accuracy"].is_null());

    // The first row takes two lines.
    let new = program.write("new.csv", "colour,note,size\nblue,\"a\nb\",9.9\nred,,0.1\n");
    let answers = program.ok(&["predict", "classes", "--input", &new]);
    let lines: Vec<&str> = answers.lines().collect();
    assert_eq!(lines[0], "row,line,class,p(large),p(small)");
    assert!(
        lines[1].starts_with("0,2,large,") && lines[2].starts_with("1,4,small,"),
        "{answers}"
    );
    let answers = program.json(&["predict", "numbers", "--input", &new, "--json"]);
    let second = &answers["predictions"][1];
    assert_eq!([&second["row"], &second["line"]], [1, 4]);
    let first = answers["predictions"][0]["prediction"]
        .as_f64()
        .expect("a number");
    assert!((first - 33.7).abs() < 1.0, "{answers}");

    let (code, stderr) = program.fails(&[
        "predict",
        "classes",
        "--input",
        &program.write("bad.csv", "size\n1\n"),
    ]);
    assert_eq!(code, 3);
    assert!(stderr.contains("colour"), "{stderr}");
    // The run knows its data, and that they have changed.
    program.write("table.csv", "size,colour,price,kind\n1,red,1,small\n");
    let (code, stderr) = program.fails(&["eval", "numbers"]);
    assert_eq!(code, 3, "{stderr}");
}

#[test]
fn exports_are_read_by_others() {
    let program = TestProgram::new();
    program.ok(&["train", DIGITS, "--epochs", "1", "-q"]);
    let out = |name: &str| program.home.path().join(name);
    for (format, name) in [("safetensors", "d.safetensors"), ("npz", "d.npz")] {
        let path = out(name);
        let path = path.to_str().expect("a plain path");
        program.ok(&["export", "digits", "--format", format, "-o", path]);
        let (code, stderr) = program.fails(&["export", "digits", "--format", format, "-o", path]);
        assert_eq!(code, 1);
        assert!(stderr.contains("exists"), "{stderr}");
    }
    let bytes = std::fs::read(out("d.safetensors")).expect("it was written");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let kernel = tensors.tensor("hidden/kernel").expect("a kernel");
    assert_eq!(kernel.shape(), [64, 128]);
    let inspected = program.json(&["inspect", "digits/hidden/5", "--json"]);
    let expected = inspected["weights"][3].as_f64().expect("a number") as f32;
    let at = (3 * 128 + 5) * 4;
    let bytes: [u8; 4] = kernel.data()[at..at + 4].try_into().expect("four bytes");
    assert_eq!(
        f32::from_le_bytes(bytes),
        expected,
        "row = input, column = neuron"
    );
}

#[test]
fn plans_and_completions_are_printed() {
    let program = TestProgram::new();
    let plan = program.ok(&["plan", DIGITS]);
    assert!(plan.contains("hidden") && plan.contains("digit"), "{plan}");
    let plan = program.json(&["plan", DIGITS, "--target", "docker", "--json"]);
    assert!(plan["broker"].is_object(), "{plan}");
    let changes = |code| {
        let output = program.output(&["plan", DIGITS, "--detailed-exitcode"]);
        assert_eq!(output.status.code(), Some(code));
    };
    changes(2);
    program.ok(&["train", DIGITS, "-q"]);
    changes(0);
    assert!(program.ok(&["completions", "bash"]).contains("cuttlefish"));
}

#[test]
fn a_plan_for_docker_says_what_it_costs_with_and_without_a_daemon() {
    let program = TestProgram::new();
    let socket = program.home.path().join("no.sock");
    let docker = format!("unix://{}", socket.display());
    let planned = |extra: &[&str]| {
        let mut args = vec!["plan", DIGITS, "--target", "docker"];
        args.extend(extra);
        let output = program
            .command(&args)
            .env("DOCKER_HOST", &docker)
            .env_remove("CUTTLEFISH_BROKER")
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let plan = planned(&[]);
    for part in [
        "units of hidden",
        "memory, expected use",
        "unknown: failed to reach Docker",
        "processes and threads",
    ] {
        assert!(plan.contains(part), "{part}: {plan}");
    }
    let json: Value = serde_json::from_str(&planned(&["--json"])).expect("a document");
    // Trainer, synapse, 138 neurons, broker, store.
    assert_eq!(json["cost"]["containers"], 142);
    assert_eq!(json["cost"]["broker"]["connections"], 141);
    assert!(json["host"].is_null());
    let limits = json["limits"].as_array().expect("limits");
    let standing = |what: &str| {
        let limit = limits.iter().find(|limit| limit["what"] == what);
        limit.unwrap_or_else(|| panic!("no {what} in {json}"))["standing"].clone()
    };
    assert_eq!(standing("memory, expected use"), "unknown");
    assert_eq!(standing("containers on a bridge"), "holds");
    assert_eq!(standing("broker: memory"), "holds");
    // Services that the run brings along are part of its cost.
    let plan: Value = serde_json::from_str(&planned(&["--json", "--store", "aws"])).expect("json");
    assert_eq!(plan["cost"]["containers"], 141);

    let local = program.json(&["plan", DIGITS, "--json"]);
    assert!(local["limits"].is_null(), "a process has none of these");
}

#[test]
fn mnist_takes_less_than_250_mb() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/mnist");
    let Some(data) = data.to_str().filter(|_| data.is_dir()) else {
        println!("skipped: the MNIST files are not there");
        return;
    };
    let program = TestProgram::new();
    for grouping in [&[][..], &["--neurons-per-unit", "1"]] {
        let name = format!("name=mnist-{}", grouping.len());
        let mut args = vec![
            "train",
            "topology/mnist.yaml",
            "--data-dir",
            data,
            "--epochs",
            "1",
        ];
        args.extend(["-q", "--set", &name]);
        args.extend(grouping);
        let mut child = program
            .command(&args)
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut most = 0;
        while child.try_wait().expect("it can be asked").is_none() {
            // The kernel's own mark of the most that was resident; gone with the process.
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()));
            let mark = status.unwrap_or_default();
            let mark = mark.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = mark.and_then(|m| m.split_whitespace().next()?.parse::<u64>().ok());
            most = most.max(kib.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(child.wait().expect("it ended").success());
        println!("at most {most} KiB resident");
        assert!(most > 10_000, "the mark was read");
        assert!(most < 250_000, "{most} KiB");
    }
}

#[test]
fn the_book_lists_the_exit_codes() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/book/commands.md");
    let page = std::fs::read_to_string(page).expect("a page on commands");
    for (exit, meaning) in cuttlefish::cli::Exit::ALL {
        let row = format!("| {} | {meaning} |", exit as i32);
        assert!(page.contains(&row), "docs/book/commands.md lacks `{row}`");
    }
}

#[test]
fn output_that_nobody_can_read_is_no_reason_to_panic() {
    let program = TestProgram::new();
    program.ok(&["train", DIGITS, "--epochs", "1", "-q"]);
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device")
    };
    for args in [
        &["completions", "bash"][..],
        &["digest", "digits"],
        &["ps", "digits"],
    ] {
        let status = program
            .command(args)
            .stdout(full())
            .stderr(Stdio::null())
            .status();
        assert_eq!(status.expect("it starts").code(), Some(1), "{args:?}");
    }
    let status = program.command(&["ps", "absent"]).stderr(full()).status();
    assert_eq!(status.expect("it starts").code(), Some(4));
    let status = program.command(&["down", "digits"]).stderr(full()).status();
    assert_eq!(status.expect("it starts").code(), Some(0));
}

#[test]
fn what_is_no_file_is_not_read() {
    let program = TestProgram::new();
    for (path, what) in [("/dev/zero", "special file"), ("topology", "directory")] {
        let (code, stderr) = program.fails(&["train", path]);
        assert!(code == 2 && stderr.contains(what), "{stderr}");
    }
}
