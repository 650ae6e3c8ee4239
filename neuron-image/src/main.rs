//! The program in the containers.

fn main() {}
