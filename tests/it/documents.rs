//! README and the book: their console blocks, their links, and their length.

use std::fs;
use std::path::Path;

#[path = "../support/console.rs"]
mod console;

#[test]
fn commands_print_what_the_documents_show() {
    let mut checked = 0;
    for (path, text) in console::documents() {
        if !text.starts_with(console::NEEDS_CONTAINERS) {
            checked += console::check(&path, &text, &[]);
        }
    }
    assert!(checked > 10, "only {checked} commands were found");
}

#[test]
fn documents_lead_where_they_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents = console::documents();
    for name in [
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ] {
        let path = root.join(name);
        let text = fs::read_to_string(&path).expect("a document is there");
        documents.push((path, text));
    }
    let link = regex_lite::Regex::new(r"\]\(([^)\s]+)\)").expect("an expression");
    let mut broken = Vec::new();
    for (path, text) in &documents {
        let directory = path.parent().expect("it is in a directory");
        for target in link
            .captures_iter(text)
            .map(|captures| captures[1].to_owned())
        {
            let file = target.split('#').next().unwrap_or_default();
            if !target.contains("://") && !file.is_empty() && !directory.join(file).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_book_has_every_page_in_its_summary() {
    let summary = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/book/SUMMARY.md");
    let summary = fs::read_to_string(summary).expect("the summary is there");
    for (path, _) in console::documents() {
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy();
        let is_listed = summary.contains(&format!("({name})"));
        assert!(
            is_listed || *name == *"SUMMARY.md" || *name == *"README.md",
            "{name}"
        );
    }
}

#[test]
fn what_a_newcomer_reads_first_is_short() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("a document is there");
    let lines = read("README.md").lines().count();
    assert!(lines <= 180, "README.md has {lines} lines");
    let words = read("ARCHITECTURE.md").split_whitespace().count();
    assert!(words <= 1500, "ARCHITECTURE.md has {words} words");
}
