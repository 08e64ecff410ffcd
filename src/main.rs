//! The command line's entry point: hands over to the library and returns its exit code.

fn main() {}
