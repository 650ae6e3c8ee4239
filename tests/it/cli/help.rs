//! What `--help` says.

use super::*;

#[test]
fn every_command_shows_how_it_is_used() {
    let program = Program::new();
    let help = program.ok(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let commands = commands.take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.split_whitespace().next());
    let mut seen = 0;
    for name in names.filter(|name| *name != "help") {
        let asked = match name {
            "image" => vec!["image", "build", "--help"],
            _ => vec![name, "--help"],
        };
        let help = program.ok(&asked);
        let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
        assert!(examples.contains(&format!("cuttlefish {name}")), "{help}");
        seen += 1;
    }
    assert!(seen > 15, "{seen} in\n{help}");
}
