//! Work that is too much at once.

use super::*;

/// Requests at once, far more than are taken.
const CROWD: usize = 60;

#[test]
fn what_is_too_much_at_once_is_told_to_come_back() {
    let console = Console::start();
    let mut text = "a,b,c,d,e,y\n".to_owned();
    for row in 0..100_000 {
        text += &format!(
            "{row},{},{},0.25,{},{}.5\n",
            row % 7,
            row % 11,
            row % 13,
            row % 17
        );
    }
    let put = console.request("PUT", "/datasets/big/files/big.csv", &[], text.as_bytes());
    assert_eq!(put.status, 201, "{}", put.text());
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = || console.get("/datasets/big/preview?target=y");
        let asked: Vec<_> = (0..CROWD).map(|_| scope.spawn(ask)).collect();
        // Whoever asks for something else is answered meanwhile.
        assert_eq!(console.get("/runs").status, 200);
        asked
            .into_iter()
            .map(|asked| asked.join().expect("an answer"))
            .collect()
    });
    let (done, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    assert!(!done.is_empty() && !refused.is_empty(), "{}", done.len());
    for answer in refused {
        answer.problem(503);
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
    assert_eq!(console.get("/datasets/big/preview?target=y").status, 200);
}
