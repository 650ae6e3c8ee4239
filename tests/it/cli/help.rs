//! Output of `--help`.

use super::*;

#[test]
fn every_command_shows_how_it_is_used() {
    let program = TestProgram::new();
    let help = program.ok(&["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let mut count = 0;
    for line in commands.take_while(|line| !line.is_empty()) {
        // The description of a command may take another line.
        let name = line[2..].split(' ').next().unwrap_or_default();
        if name.is_empty() || name == "help" {
            continue;
        }
        let args = match name {
            "image" => vec!["image", "build", "--help"],
            _ => vec![name, "--help"],
        };
        let help = program.ok(&args);
        let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
        assert!(examples.contains(&format!("cuttlefish {name}")), "{help}");
        count += 1;
    }
    assert!(count > 15, "{count} in\n{help}");
}
