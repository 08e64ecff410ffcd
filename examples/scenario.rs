//! Races a scenario file, as a test of your own would: `cargo run --release --example scenario`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let raced = deadheat::Run::file("scenarios/basics/first-race.toml").rounds(50).run().await;
    match raced {
        Ok(report) => {
            print(&report.text());
            report.verdict().exit_code().into()
        }
        Err(error) => {
            print(&format!("error: {error}\n"));
            error.verdict().exit_code().into()
        }
    }
}

#[allow(clippy::print_stdout, reason = "an example shows what came of it")]
fn print(text: &str) {
    print!("{text}");
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn one_of_the_writers_wins() {
        let report =
            deadheat::Run::file("scenarios/basics/first-race.toml").rounds(20).run().await.expect("it was raced");
        report.assert_passed();
    }
}
