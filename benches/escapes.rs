//! How many ways out of a lease lead out: `tests/fixtures/escapes.txt` has them.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/common/mod.rs"]
mod common;

#[tokio::main]
async fn main() {
    let tried = common::outside::tried().await;
    for escape in &tried.escapes {
        println!("{escape}");
    }
    println!("{} ways were tried", tried.ways);
    let escapes = tried.escapes.len() + usize::from(tried.outlived);
    println!("figure escapes {escapes} count limit 0");
    if escapes > 0 {
        std::process::exit(1);
    }
}
