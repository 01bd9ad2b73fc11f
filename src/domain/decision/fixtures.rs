//! A run's start, for tests.

use serde_json::{Value, json};

use crate::domain::started::Started;

/// A start as journals hold it, of a plan without variants.
pub fn started_json() -> Value {
    json!({
        "run": "r", "document": "d.md", "digest": "0", "base": "b", "target": "main", "seed": 7, "state": "/s",
        "at": 0, "configuration": "c", "measure_budget": {"secs": 60, "nanos": 0}, "require_supported": false,
        "sources": [], "plan": {
            "id": "", "title": "", "status": "approved", "mode": "competition", "approved": null, "goal": "",
            "assumptions": [], "questions": [], "variants": [], "work_items": [], "tests": [], "metrics": [],
            "weights": {"tests": {"percent": 100.0, "note": null}, "performance": {"percent": 0.0, "note": null},
                        "simplicity": {"percent": 0.0, "note": null}},
            "budget": {"step_tokens": null, "session_tokens": null, "time_estimate": null, "time_cap": null},
            "rollback": null,
        },
    })
}

/// The same, read.
pub fn started() -> Started {
    serde_json::from_value(started_json()).unwrap()
}
