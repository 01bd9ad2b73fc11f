//! Ways out of the walls of a lease, tried by programs within them.

mod common;

use common::outside::tried;

/// As many there are at least.
const FEWEST: usize = 120;

#[tokio::test(flavor = "multi_thread")]
async fn no_way_out_of_a_lease_reads_changes_or_reaches_what_is_outside() {
    let tried = tried().await;
    assert!(tried.ways >= FEWEST, "{}", tried.ways);
    assert!(tried.escapes.is_empty(), "{} of {}:\n{}", tried.escapes.len(), tried.ways, tried.escapes.join("\n"));
    assert!(!tried.outlived, "a daemon outlived its lease");
}
