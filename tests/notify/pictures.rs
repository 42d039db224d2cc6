//! The states as pages, for people to look at:
//! `cargo nextest run --test notify --run-ignored only pictures`, then see `target/slack`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::world::slack::html::html;

const STYLE: &str = "
body { font: 15px/1.46 Lato, 'Noto Sans', 'DejaVu Sans', sans-serif; color: #1d1c1d; margin: 16px;
  columns: 3; column-gap: 24px }
article { break-inside: avoid; border: 1px solid #ddd; border-radius: 8px; padding: 12px;
  margin-bottom: 16px }
h1 { font-size: 12px; color: #888; margin: 0 0 8px } h2 { font-size: 18px; margin: 2px 0 }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; margin: 6px 0 }
.context { font-size: 12px; color: #616061; margin: 4px 0 } .context span { margin-right: 10px }
button { font: inherit; font-weight: 700; font-size: 13px; background: #fff; padding: 4px 10px;
  border: 1px solid #bbb; border-radius: 4px; margin: 4px 6px 0 0 }
.danger { background: #e01e5a; color: #fff } .primary { background: #007a5a; color: #fff }
.confirm { font-size: 12px; color: #616061; border-left: 3px solid #ddd; padding-left: 8px;
  margin-top: 4px } ul { margin: 4px 0; padding-left: 20px }
";

#[test]
#[ignore = "writes pictures for people to look at"]
fn the_states_as_pictures() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/slack");
    fs::create_dir_all(&folder).unwrap();
    let mut page = format!("<meta charset=utf-8><style>{STYLE}</style>");
    for (name, message) in super::states::all() {
        let _ = write!(page, "<article><h1>{name}</h1>{}</article>", html(&message["blocks"]));
    }
    let file = folder.join("states.html");
    fs::write(&file, page).unwrap();
    let shot = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg("--window-size=1650,3400")
        .arg(format!("--screenshot={}", folder.join("states.png").display()))
        .arg(format!("file://{}", file.display()))
        .output();
    assert!(shot.unwrap().status.success());
}
