//! Data sets that people bring.

use super::*;

const TABLE: &str = "size,colour,price\n1,red,10.5\n2,blue,21\n3,red,29\n4,blue,42\n5,red,50\n6,blue,61\n\
                     7,red,69\n8,blue,82\n9,red,90\n10,blue,101\n11,red,109\n12,blue,122\n";

fn upload(console: &Console, path: &str, body: &[u8]) -> Answer {
    console.request("PUT", &format!("/datasets/{path}"), &[], body)
}

#[test]
fn a_table_is_looked_at_trained_on_and_removed() {
    let console = Console::start();
    let uploaded = upload(&console, "houses/files/houses.csv", TABLE.as_bytes()).json(201);
    assert_eq!(uploaded["kind"], "csv");
    assert_eq!(uploaded["bytes"], TABLE.len());
    let names = console.get("/datasets").json(200);
    let names = names["datasets"].as_array().expect("a list").iter();
    let names: Vec<_> = names.map(|data| data["name"].clone()).collect();
    assert_eq!(
        json!(names),
        json!(["digits", "mnist", "fashion-mnist", "houses"])
    );

    let preview = console
        .get("/datasets/houses/preview?target=price")
        .json(200);
    assert_eq!(preview["n_rows"], 12);
    assert_eq!(preview["task"], "regression", "{preview}");
    let columns = preview["columns"].as_array().expect("a list");
    assert_eq!(columns[0]["type"], "number");
    assert_eq!(columns[0]["mean"], 6.5);
    assert_eq!(columns[1]["type"], "category");
    assert_eq!(columns[1]["becomes"], "2 inputs, one a category");
    assert_eq!(columns[2]["type"], "target");
    assert_eq!(preview["rows"][1], json!(["2", "blue", "21"]));
    let problem = console
        .get("/datasets/houses/preview?target=prize")
        .json(200);
    let problem = problem["problem"].as_str().expect("a text");
    assert!(problem.contains("did you mean `price`?"), "{problem}");

    let data = uploaded["data"]
        .as_str()
        .expect("keys")
        .replace('\n', "\n  ");
    let topology = format!(
        "name: houses\ndata:\n  {data}target: price\nnetwork:\n  layers: [{{type: dense, units: 1}}]\n  \
         loss: mean_squared_error\ntraining: {{epochs: 200, batch_size: 4, optimizer: {{type: sgd, learning_rate: 0.05}}}}\n"
    );
    console.post("/runs", &new_run(&topology)).json(202);
    console.wait_for("houses", "complete");
    let rows = json!({"rows": [{"size": 20, "colour": "red"}, {"size": 5, "colour": "green"}]});
    let answer = console.post("/runs/houses/predict", &rows).json(200);
    let price = answer["predictions"][0]["prediction"]
        .as_f64()
        .expect("a number");
    assert!((price - 199.0).abs() < 20.0, "{answer}");
    let warning = answer["warnings"][0].as_str().expect("a text");
    assert!(warning.contains("`colour`"), "{warning}");
    // As a file, with lines.
    let csv = [("content-type", "text/csv")];
    let body = b"size,colour\n20,red\n";
    let answer = console
        .request("POST", "/runs/houses/predict", &csv, body)
        .json(200);
    assert_eq!(answer["predictions"][0]["line"], 2);
    let missing = console.post("/runs/houses/predict", &json!({"rows": [{"size": 1}]}));
    let problem = missing.problem(422);
    assert!(
        problem.contains("colour") && !problem.contains("/tmp"),
        "{problem}"
    );

    assert_eq!(console.delete("/datasets/houses").status, 204);
    console.get("/datasets/houses").problem(404);
}

#[test]
fn an_upload_is_whole_or_not_there() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let console = Console::start_in(home, &["--max-upload", "1"]);
    upload(&console, "big/files/big.csv", &vec![b'1'; (1 << 20) + 1]).problem(413);
    console.get("/datasets/big").problem(404);
    // One whose client leaves in the middle.
    let mut stream = TcpStream::connect(console.address).expect("it listens");
    let head = format!(
        "PUT /api/v1/datasets/half/files/half.csv HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {TOKEN}\r\n\
         content-length: 1000\r\n\r\nx,y\n1,2\n",
        console.address
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    drop(stream);
    std::thread::sleep(Duration::from_millis(300));
    console.get("/datasets/half").problem(404);
    let uploads = console.home.path().join("data/uploads");
    let left: Vec<_> = std::fs::read_dir(&uploads).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");

    upload(&console, "once/files/once.csv", TABLE.as_bytes()).json(201);
    let problem = upload(&console, "once/files/once.csv", b"x,y\n1,2\n").problem(409);
    assert!(problem.contains("already"), "{problem}");
    upload(&console, "digits/files/own.csv", b"x,y\n").problem(409);
}

#[test]
fn names_lead_nowhere_else() {
    let console = Console::start();
    for path in [
        "../files/x.csv",
        "..%2f..%2fetc/files/x.csv",
        "Upper/files/x.csv",
        "a%2fb/files/x.csv",
        "a/files/..%2f..%2fx.csv",
        "a/files/.hidden",
        "a/files/..",
        "a/files/%00.csv",
        "a/files/x.part",
    ] {
        let answer = upload(&console, path, b"x,y\n1,2\n");
        assert!(
            matches!(answer.status, 400 | 404 | 422),
            "{path}: {answer:?}"
        );
    }
    let files = walk(console.home.path());
    assert!(files.is_empty(), "{files:?}");
}

fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
