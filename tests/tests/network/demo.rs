//! The demo is what newcomers see first: its story runs to its end.

use std::process::Command;

use trials::sandbox::program;

#[test]
fn the_story_runs_to_its_end() {
    // Both programs must be built beside it; a test of each of their packages sees to that.
    assert!(program("gateway").exists() && program("agent").exists());
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--once", "--dir"])
        .arg(folder.path().join("demo"))
        .env_remove("CARGO")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for needed in ["INVENTED", "مختلق", "NO_AGREEMENT", "each once", "none is there", "verified offline"]
    {
        assert!(said.contains(needed), "{needed}: {said}");
    }
}
