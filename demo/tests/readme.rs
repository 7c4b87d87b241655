//! The README's example is one that compiles.

#[test]
fn the_example_of_the_readme_is_the_one_that_compiles() {
    let (readme, example) = (include_str!("../../README.md"), include_str!("../examples/hello.rs"));
    let code = &example[example.find("use axum").unwrap()..];
    assert!(readme.contains(&format!("```rust\n{code}```\n")), "copy demo/examples/hello.rs into README.md");
}
