//! The example in the README is one that compiles.

#[test]
fn the_example_of_the_readme_is_the_one_that_compiles() {
    let (readme, example) = (include_str!("../../../README.md"), include_str!("../../../examples/hello.rs"));
    let code = &example[example.find("use axum").unwrap()..];
    assert!(readme.contains(&format!("```rust\n{code}```\n")), "copy examples/hello.rs into README.md");
}

#[test]
fn an_application_names_an_adapter_and_a_store_and_nothing_else_of_ours() {
    for example in [include_str!("../../../examples/hello.rs"), include_str!("../../../examples/axum.rs")] {
        assert!(!example.contains("session_core"), "session_tower re-exports it");
    }
    let readme = include_str!("../../../README.md");
    let toml = readme.split("```toml").nth(1).unwrap().split("```").next().unwrap();
    let ours: Vec<_> = toml.lines().filter(|line| line.starts_with("session-")).collect();
    assert!(matches!(ours[..], [store, layer] if store.contains("memory") && layer.contains("tower")), "{ours:?}");
}
