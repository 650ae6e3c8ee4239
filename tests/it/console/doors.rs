//! Who is let in, and what is not taken.

use super::*;

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

fn cookie_name(console: &Console) -> String {
    format!("cuttlefish_console_{}", console.address.port())
}

/// The cookie that a browser gets for the token.
fn cookie(console: &Console) -> String {
    let entry = console.raw("GET", &format!("/?token={TOKEN}"), &[], b"");
    let cookie = entry.header("set-cookie").expect("a cookie");
    cookie.split(';').next().expect("a pair").to_owned()
}

#[test]
fn nobody_gets_in_without_the_token() {
    let console = Console::start();
    for path in [
        "/",
        "/assets/main.js",
        "/api/v1/runs",
        "/api/v1/none",
        "/none",
    ] {
        assert_eq!(console.raw("GET", path, &[], b"").status, 401, "{path}");
        let wrong = [("authorization", "Bearer wrong")];
        assert_eq!(console.raw("GET", path, &wrong, b"").status, 401, "{path}");
        // The token itself is no cookie.
        for value in ["wrong", TOKEN, ""] {
            let cookie = format!("{}={value}", cookie_name(&console));
            let cookie = [("cookie", cookie.as_str())];
            assert_eq!(console.raw("GET", path, &cookie, b"").status, 401, "{path}");
        }
    }
    assert_eq!(console.raw("GET", "/?token=wrong", &[], b"").status, 401);
    // The token in an address is for the first page alone.
    let path = format!("/api/v1/runs?token={TOKEN}");
    assert_eq!(console.raw("GET", &path, &[], b"").status, 401);
}

#[test]
fn a_browser_gets_a_cookie_and_no_token_stays_in_its_address() {
    let console = Console::start();
    let entry = console.raw("GET", &format!("/?token={TOKEN}"), &[], b"");
    assert_eq!(entry.status, 303);
    assert_eq!(entry.header("location"), Some("/"));
    assert_eq!(entry.header("referrer-policy"), Some("no-referrer"));
    let cookie = entry.header("set-cookie").expect("a cookie");
    for word in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN), "{cookie}");
    let cookie = cookie.split(';').next().expect("a pair").to_owned();
    let page = console.raw("GET", "/", &[("cookie", &cookie)], b"");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<title>Cuttlefish</title>"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    // Every file that the page names, and the files that those import.
    let mut open = vec!["/assets/main.js".to_owned()];
    let mut seen = Vec::new();
    while let Some(path) = open.pop() {
        if seen.contains(&path) {
            continue;
        }
        let script = console.raw("GET", &path, &[("cookie", &cookie)], b"");
        assert_eq!(script.status, 200, "{path}");
        let names = script.text();
        let names = names
            .split("from \"./")
            .skip(1)
            .chain(names.split("from './").skip(1));
        open.extend(names.map(|rest| {
            let name: String = rest
                .chars()
                .take_while(|c| !matches!(c, '"' | '\''))
                .collect();
            format!("/assets/{name}")
        }));
        seen.push(path);
    }
    let scripts = std::fs::read_dir("src/console/web").expect("the folder");
    let scripts = scripts
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .filter(|name| name.ends_with(".js"))
        .count();
    assert_eq!(
        seen.len(),
        scripts,
        "every script is served, and is used: {seen:?}"
    );
}

#[test]
fn two_consoles_of_a_host_do_not_take_each_others_cookies() {
    let (one, other) = (Console::start(), Console::start());
    // A browser sends what it has of a host to every port of it.
    let both = format!("{}; {}", cookie(&one), cookie(&other));
    for console in [&one, &other] {
        assert!(
            both.contains(&format!("{}=", cookie_name(console))),
            "{both}"
        );
        let page = console.raw("GET", "/", &[("cookie", &both)], b"");
        assert_eq!(page.status, 200);
    }
}

#[test]
fn a_head_request_is_answered_as_a_get_without_its_body() {
    let console = Console::start();
    console
        .post("/runs", &new_run(&digits("headed", 2)))
        .json(202);
    console.wait_for("headed", "complete");
    for path in [
        "/",
        "/assets/main.js",
        "/api/v1/info",
        "/api/v1/openapi.json",
        "/api/v1/datasets",
        "/api/v1/topologies",
        "/api/v1/runs",
        "/api/v1/runs/headed/topology",
        "/api/v1/runs/headed/export",
        "/api/v1/runs/none",
        "/api/v1/none",
    ] {
        let bearer = bearer();
        let headers = [("authorization", bearer.as_str())];
        let head = console.raw("HEAD", path, &headers, b"");
        let get = console.raw("GET", path, &headers, b"");
        assert_eq!(head.status, get.status, "{path}");
        for name in ["content-type", "content-length"] {
            assert_eq!(head.header(name), get.header(name), "{path}");
        }
        assert_eq!(head.body, b"", "{path}");
    }
    // A stream has no end that could be waited for.
    let head = console.request("HEAD", "/runs/headed/events", &[], b"");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.body, b"");
}

#[test]
fn another_method_is_told_those_of_the_address() {
    let console = Console::start();
    for (path, methods) in [
        ("/api/v1/runs", "GET, HEAD, POST"),
        ("/api/v1/runs/none", "GET, HEAD, DELETE"),
        ("/api/v1/runs/none/stop", "POST"),
        ("/api/v1/datasets/a/files/b", "PUT"),
        ("/api/v1/info", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ] {
        let answer = console.raw("PATCH", path, &[("authorization", &bearer())], b"");
        assert_eq!(answer.header("allow"), Some(methods), "{path}");
        answer.problem(405);
    }
}

#[test]
fn pages_of_others_can_do_nothing() {
    let console = Console::start();
    let cookie = cookie(&console);
    let body = new_run(&digits("stolen", 1)).to_string();
    let send = |headers: &[(&str, &str)]| {
        let mut all = vec![
            ("cookie", cookie.as_str()),
            ("content-type", "application/json"),
        ];
        all.extend(headers);
        console.raw("POST", "/api/v1/runs", &all, body.as_bytes())
    };
    // A form or a script of another site, one of a name that leads here, and one that does not say where it is from.
    send(&[("origin", "http://evil.example")]).problem(403);
    send(&[("origin", "null")]).problem(403);
    send(&[("host", "evil.example"), ("origin", "http://evil.example")]).problem(421);
    send(&[]).problem(403);
    let get = |headers: &[(&str, &str)]| console.raw("GET", "/api/v1/runs", headers, b"");
    assert_eq!(
        get(&[("cookie", &cookie), ("host", "evil.example")]).status,
        421
    );
    assert_eq!(console.get("/runs").json(200), json!({"runs": []}));
    let origin = format!("http://{}", console.address);
    send(&[("origin", &origin)]).json(202);
}

#[test]
fn what_is_too_much_is_refused() {
    let console = Console::start();
    let long = format!("/runs?{}", "x".repeat(5000));
    console.get(&long).problem(414);
    let huge = json!({"topology": "x".repeat(5 << 20)});
    let answer = console.post("/topologies/validate", &huge);
    answer.problem(413);
    // Aliases that would grow to a billion words.
    let mut laughs = "a0: &a0 [lol]\n".to_owned();
    for n in 1..30 {
        laughs += &format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}, *a{0}]\n", n - 1);
    }
    let answer = console.post("/topologies/validate", &json!({"topology": laughs}));
    assert_eq!(answer.json(200)["valid"], false);
    let deep = "[".repeat(100_000);
    let answer = console.post("/topologies/validate", &json!({"topology": deep}));
    assert_eq!(answer.json(200)["valid"], false);
    for body in ["", "{", "[]", "{\"topology\": 3}", "null"] {
        let json = [("content-type", "application/json")];
        let answer = console.request("POST", "/runs", &json, body.as_bytes());
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    let answer = console.request(
        "POST",
        "/runs",
        &[],
        new_run("name: x").to_string().as_bytes(),
    );
    answer.problem(415);
    console.request("PATCH", "/runs", &[], b"").problem(405);
    console.get("/runs/none/samples/-1").problem(404);
    console.get("/runs/none/samples/1?part=none").problem(400);
}

#[test]
fn idle_connections_do_not_shut_others_out() {
    let console = Console::start();
    let idle: Vec<TcpStream> = (0..1000)
        .filter_map(|_| TcpStream::connect(console.address).ok())
        .collect();
    let began = Instant::now();
    assert_eq!(
        console
            .raw("GET", "/api/v1/runs", &[("authorization", &bearer())], b"")
            .status,
        200
    );
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    drop(idle);
}

#[test]
fn the_token_is_in_no_log() {
    let console = Console::start();
    console.raw("GET", &format!("/?token={TOKEN}"), &[], b"");
    console
        .post("/runs", &new_run(&digits("logged", 1)))
        .json(202);
    console.wait_for("logged", "complete");
    // The command prints its results when the run is complete.
    let began = Instant::now();
    let log = loop {
        let log = console.get("/runs/logged/log").text();
        if log.contains("weights sha256") {
            break log;
        }
        assert!(began.elapsed() < PATIENCE, "{log}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(!log.contains(TOKEN), "{log}");
    for file in [
        "runs/logged/console/request.json",
        "runs/logged/console/log",
    ] {
        let text = std::fs::read_to_string(console.home.path().join(file)).expect("a file");
        assert!(!text.contains(TOKEN), "{text}");
    }
}
