//! A small competition: what is measured is a number in `cost.txt`, with noise from the block's
//! seed, so that a run takes seconds and its true order is known.

use super::{Repo, TELLS};

/// The document's path.
pub const DOCUMENT: &str = "docs/blueprints/cost.md";

/// How the arena's document and configuration differ from the plain ones.
pub struct Arena {
    /// Cost by variant; the baseline's is 90.
    pub costs: Vec<(&'static str, u32)>,
    /// Replaces `agent: …` of the configuration.
    pub agent: String,
    /// Lines added to the configuration.
    pub config: String,
    /// Lines of the Budget section.
    pub budget: String,
    /// What one slice costs in seconds.
    pub slice: &'static str,
}

impl Default for Arena {
    fn default() -> Self {
        Self {
            costs: vec![("A", 20), ("B", 60)],
            agent: "{patch: recorded}".to_owned(),
            config: String::new(),
            budget: "- Time cap: 15 minutes\n".to_owned(),
            slice: "0",
        }
    }
}

const BENCH: &str = r#"#!/bin/sh
# Prints the cost with up to 2 % of noise that is the same for nobody.
sleep __SLICE__
awk -v cost="$(cat cost.txt)" -v seed="$BLUEPRINT_SEED" 'BEGIN {
    srand(seed % 100000 + cost)
    printf "{\"latency\": {\"p95\": %.4f}}\n", cost * (1 + 0.02 * rand())
}'
"#;

impl Arena {
    /// The document.
    pub fn document(&self) -> String {
        let variants: String = self
            .costs
            .iter()
            .map(|(key, cost)| format!("### Variant {key}: Cost {cost}\n\n- make it {cost}\n\n"))
            .collect();
        let rows: String = self.costs.iter().map(|(key, _)| format!("| {key} | | | | | |\n")).collect();
        format!(
            "# Lower the cost\n\n**Blueprint ID**: `2026-01-05T10:00:00Z_cost`  \n**Status**: approved  \n\
             **Mode**: competition  \n**Created**: 2026-01-05 10:00:00 UTC  \n**Updated**: 2026-01-05 10:00:00 UTC  \n\n\
             ## Goal\n\nLower what `cost.txt` says.\n\n## Approach\n\n{variants}## Work Items\n\n### The cost\n\n\
             **Files**: cost.txt, notes/**\n**Diff Contract**: patch\n\n## Evaluation Criteria\n\n**Tests**:\n\
             - sh tests/run.sh\n\n**Metrics**:\n- latency_p95: <80ms\n\n## Competition Scoring\n\n### Weights\n\n\
             - Tests: 50%\n- Performance: 30% (p95 latency)\n- Simplicity: 20%\n\n### Results\n\n\
             | Variant | Tests | Performance | Simplicity | Total | Winner |\n\
             |---------|-------|-------------|------------|-------|--------|\n{rows}\n**Winner**: none yet\n\n\
             **Analysis**:\n- none yet\n\n## Budget\n\n{}\n## Rollback Plan\n\n```bash\ngit revert -m 1 HEAD\n```\n\n\
             ## Artifacts\n\n- {DOCUMENT}\n",
            self.budget
        )
    }

    /// The configuration.
    pub fn config(&self) -> String {
        let sandbox = if self.config.contains("sandbox:") { "" } else { TELLS };
        format!(
            "version: 1\n{sandbox}agent: {}\nmetrics:\n  latency_p95: {{from: command, run: sh bench/cost.sh, path: latency.p95, unit: ms}}\n\
             measure: {{budget: 60s}}\n{}",
            self.agent, self.config
        )
    }

    /// A patch that sets the cost.
    pub fn patch(cost: u32) -> String {
        format!("--- a/cost.txt\n+++ b/cost.txt\n@@ -1 +1 @@\n-90\n+{cost}\n")
    }

    /// A repository of it with everything committed on `main`.
    pub fn build(&self) -> Repo {
        let repo = Repo::unborn();
        repo.write(DOCUMENT, &self.document());
        repo.write("blueprint.yaml", &self.config());
        repo.write("cost.txt", "90\n");
        repo.write("tests/run.sh", "#!/bin/sh\ntest \"$(cat cost.txt)\" -lt 1000\n");
        repo.write("bench/cost.sh", &BENCH.replace("__SLICE__", self.slice));
        for (key, cost) in &self.costs {
            repo.write(&format!("recorded/{key}.patch"), &Self::patch(*cost));
        }
        repo.commit("first");
        repo
    }
}
