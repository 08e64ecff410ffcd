//! `report.html`, and the pages of comparisons and trends, in a real browser: headless Chromium opens pages of real runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Text that would run if it were not escaped.
const HOSTILE: &str = "</script></style><img src=x onerror=document.title=1>";

/// Eight writers of whom one may win; without a guard all of them do.
fn scenario(name: &str, guard: &str) -> String {
    format!(
        r#"schema  = 1
name    = "{name}"
summary = "one wins {HOSTILE}"
rounds  = 3

[targets.store]
driver  = "event-store"
backend = "memory"
guard   = "{guard}"

[[workers]]
name  = "writer"
count = 8
steps = [{{ append = {{ actor = "${{round}}", version = 1, type = "{HOSTILE}", data = {{ writer = "${{worker}}" }}, pause = "checked" }} }}]

[expect]
success  = 1
conflict = 7

[[invariants]]
name   = "{HOSTILE}"
events = {{ actor = "${{round}}" }}
that   = "size(events) == 1"
"#
    )
}

/// Races scenarios of these names and guards; the page that they leave.
fn race(folder: &Path, scenarios: &[(&str, &str)]) -> PathBuf {
    for (name, guard) in scenarios {
        fs::write(folder.join(format!("{name}.toml")), scenario(name, guard)).unwrap();
    }
    let ran = Command::new(env!("CARGO_BIN_EXE_deadheat"))
        .arg("run")
        .arg(folder)
        .arg("--out")
        .arg(folder.join("reports"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    let path = said.lines().find_map(|line| line.strip_prefix("report: ")).unwrap_or_else(|| panic!("{ran:?}"));
    PathBuf::from(path)
}

fn chromium() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|program| program.is_file());
    found.expect("these tests need chromium: apt-get install chromium, or run scripts/test")
}

/// Opens a page; the document that its scripts left, and what they wrote to the console.
fn open(page: &Path) -> (String, Vec<String>) {
    open_with(page, &[])
}

/// The same with more of the browser's options.
fn open_with(page: &Path, options: &[&str]) -> (String, Vec<String>) {
    let profile = tempfile::tempdir().unwrap();
    let Output { stdout, stderr, .. } = Command::new(chromium())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--enable-logging=stderr",
            // A page that is done has no timers left and ends at once; one that unpacks a case looks every 20 ms of these.
            "--virtual-time-budget=600000",
        ])
        .args(options)
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let console =
        String::from_utf8_lossy(&stderr).lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
    (String::from_utf8_lossy(&stdout).into_owned(), console)
}

/// What `driver`, a script in a copy of the page, has left in `data-seen` when the page is done.
fn driven(page: &Path, driver: &str, options: &[&str]) -> serde_json::Value {
    let text = fs::read_to_string(page).unwrap();
    let text = text.replace("</body>", &format!("<script>{driver}</script></body>"));
    // The policy of a page lets no script run but its own; this copy has none.
    let policy = text.find("<meta http-equiv=\"Content-Security-Policy\"");
    let without = policy.map(|start| {
        let end = start + text[start..].find('>').unwrap() + 1;
        format!("{}{}", &text[..start], &text[end..])
    });
    let copy = page.with_file_name("driven.html");
    fs::write(&copy, without.unwrap_or(text)).unwrap();
    let (document, console) = open_with(&copy, options);
    assert_eq!(console, Vec::<String>::new());
    let seen = document.split("data-seen=\"").nth(1).and_then(|rest| rest.split('"').next());
    serde_json::from_str(&seen.expect("the driver did not finish").replace("&quot;", "\"")).unwrap()
}

/// The widths of the page and of some of its elements, each with the width that it has room for.
const WIDTHS: &str = r#"
    const widths = (element) => [element.scrollWidth, element.clientWidth];
    const seen = { page: widths(document.documentElement), paper: getComputedStyle(document.body).backgroundColor };
    const cases = document.querySelector(".overview .scroll"), counts = document.querySelector(".columns .scroll");
    if (cases) seen.cases = widths(cases);
    const link = document.querySelector(".overview a");
    if (link) seen.direction = getComputedStyle(link).unicodeBidi;
    if (counts) seen.counts = widths(counts);
    document.documentElement.dataset.seen = JSON.stringify(seen);
"#;

#[track_caller]
fn fits(widths: &serde_json::Value) {
    let [needed, room] = [0, 1].map(|index| widths[index].as_u64().unwrap());
    assert!(needed <= room, "{needed} > {room}");
}

#[test]
fn a_long_case_id_leaves_room_for_the_other_columns() {
    let folder = tempfile::tempdir().unwrap();
    let page = race(folder.path(), &[(&"n".repeat(200), "none")]);
    let seen = driven(&page, WIDTHS, &["--window-size=1100,900"]);
    fits(&seen["page"]);
    fits(&seen["cases"]);
    assert_eq!(seen["direction"], "isolate", "what a case id says of direction ends with it");
}

#[test]
fn on_a_phone_pages_are_as_wide_as_the_screen_and_counts_are_seen_whole() {
    let folder = tempfile::tempdir().unwrap();
    let page = race(folder.path(), &[("unguarded", "none")]);
    let phone = "--window-size=390,844";
    let seen = driven(&page, WIDTHS, &[phone]);
    fits(&seen["page"]);
    fits(&seen["counts"]);
    let run = page.parent().unwrap();
    let made = |name: &str, command: &mut Command| {
        let output = command.output().unwrap();
        let page = folder.path().join(name);
        if !page.is_file() {
            fs::write(&page, output.stdout).unwrap();
        }
        page
    };
    let deadheat = || Command::new(env!("CARGO_BIN_EXE_deadheat"));
    let comparison = made("cmp.html", deadheat().arg("compare").args([run, run]).args(["--force", "--format", "html"]));
    let trend = folder.path().join("trend.html");
    let trend = made("trend.html", deadheat().arg("trend").arg(run.parent().unwrap()).arg("--html").arg(&trend));
    for page in [&comparison, &trend] {
        let unfolded = format!("document.querySelectorAll('details').forEach((it) => it.open = true); {WIDTHS}");
        let seen = driven(page, &unfolded, &[phone, "--force-dark-mode"]);
        fits(&seen["page"]);
        assert_eq!(seen["paper"], "rgb(20, 23, 27)", "{}", page.display());
        assert_eq!(driven(page, &unfolded, &[phone])["paper"], "rgb(255, 255, 255)", "{}", page.display());
    }
}

#[test]
fn the_page_opens_without_a_word_on_the_console_and_shows_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let (document, console) = open(&race(folder.path(), &[("guarded", "server"), ("unguarded", "none")]));
    assert_eq!(console, Vec::<String>::new());
    assert!(document.contains("data-view=\"ready\""), "the page's script did not run");
    assert!(
        document.contains("<h1>fail</h1>") && document.contains("2 cases in"),
        "{}",
        &document[..document.len().min(4_000)]
    );
    assert!(!document.contains("<img"), "something that a scenario says became an element");
    assert!(document.contains("&lt;img src=x onerror=document.title=1&gt;"));
}

#[test]
fn timelines_tell_their_steps_by_pointer_and_by_keyboard_and_cases_unfold() {
    let folder = tempfile::tempdir().unwrap();
    let page = race(folder.path(), &[("guarded", "server"), ("unguarded", "none")]);
    let driver = r#"
        const seen = {};
        const tip = document.getElementById("tip");
        const failed = document.querySelector("details.case[open]");
        const step = failed.querySelector(".timeline .step");
        step.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
        seen.hovered = tip.hidden ? null : tip.textContent;
        const svg = step.closest(".lanes").firstElementChild;
        svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
        seen.below = tip.textContent;
        svg.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
        seen.escaped = tip.hidden;
        failed.querySelector(".timeline .waiting").dispatchEvent(new MouseEvent("click", { bubbles: true }));
        seen.tapped = tip.textContent;
        const folded = document.querySelector("details.case:not([open])");
        folded.open = true;
        const look = () => {
          seen.unfolded = folded.querySelectorAll(".timeline [data-tip]").length;
          if (seen.unfolded === 0) return setTimeout(look, 20);
          document.documentElement.dataset.seen = JSON.stringify(seen);
        };
        look();
    "#;
    let seen = driven(&page, driver, &[]);
    assert!(seen["hovered"].as_str().unwrap().starts_with("writer 0: append\n"), "{seen}");
    assert!(seen["below"].as_str().unwrap().starts_with("writer 1: "), "{seen}");
    assert_eq!(seen["escaped"], true);
    assert!(seen["tapped"].as_str().unwrap().contains("waiting at checked\n"), "{seen}");
    assert!(seen["unfolded"].as_u64().unwrap() > 8, "{seen}");
}
