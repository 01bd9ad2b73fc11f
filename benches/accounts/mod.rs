//! A run's accounts for benchmarks: as a run keeps them, of a plan with nothing in it but caps.

use std::sync::Arc;
use std::time::Duration;

use blueprint::adapters::journal::Journal;
use blueprint::engine::budget::accounts::Accounts;
use blueprint::engine::clock::Clock;
use blueprint::engine::state::{Facts, Log, Record, Started};
use serde_json::json;

/// Accounts in this journal, under caps of step, variant and session; with the log that they write.
pub async fn accounts(journal: Arc<dyn Journal>, [step, variant, session]: [u64; 3]) -> (Arc<Accounts>, Log, Started) {
    let started: Started = serde_json::from_value(json!({
        "run": "r", "document": "d.md", "digest": "0", "base": "b", "target": "main", "seed": 7, "state": "/s",
        "at": 0, "configuration": "c", "measure_budget": {"secs": 60, "nanos": 0}, "require_supported": false,
        "sources": [], "plan": {
            "id": "", "title": "", "status": "approved", "mode": "competition", "approved": null, "goal": "",
            "assumptions": [], "questions": [], "variants": [], "work_items": [], "tests": [], "metrics": [],
            "weights": {"tests": {"percent": 100.0, "note": null}, "performance": {"percent": 0.0, "note": null},
                        "simplicity": {"percent": 0.0, "note": null}},
            "budget": {"step_tokens": step, "variant_tokens": variant, "session_tokens": session,
                       "time_estimate": null, "time_cap": null},
            "rollback": null,
        },
    }))
    .expect("a plan");
    let log = Log::new(journal, &started.run, Clock::resumed(Duration::ZERO));
    log.write(&Record::Started(started.clone())).await.expect("a record");
    let accounts = Accounts::new(&Facts::new(started.clone()), log.clone(), Arc::new(|_| {})).expect("accounts");
    (Arc::new(accounts), log, started)
}
