//! What blocks say of times that programs report of themselves: who leaves time out, and whose report is doubted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::seen::Seen;
use super::values::counted;
use crate::domain::claimed::{self, Finding, Pair};
use crate::domain::measurement::{Block, Contender, MetricName, read};
use crate::domain::plan::VariantKey;
use crate::domain::race::Rules;
use crate::domain::trial::Disqualification;

/// What was found of all variants.
#[derive(Default)]
pub struct Claims {
    /// Whose report is not true, with the first metric of which that is known.
    pub untrue: Vec<(VariantKey, Disqualification)>,
    /// Whose report is doubted, with the figures that speak against it.
    pub doubted: BTreeMap<(Contender, MetricName), String>,
    /// For how long programs are to work in slices that settle such doubts, where there is any that they would settle.
    pub brief: Option<Duration>,
}

/// Holds what these contenders report against what their slices took.
pub fn judge(seen: &Seen, contenders: &[Contender], rules: &Rules) -> Claims {
    let mut claims = Claims::default();
    for contender in contenders {
        let Some(key) = contender.key() else { continue };
        for metric in seen.started.plan.metrics.iter().map(|metric| &metric.name) {
            let pairs: Vec<Pair> = counted(seen, rules).filter_map(|block| pair(block, contender, metric)).collect();
            match claimed::judge(rules, &pairs) {
                Finding::Believed => {}
                Finding::Open { brief } => {
                    claims.doubted.insert((contender.clone(), metric.clone()), claimed::told(&pairs));
                    let asked = brief.then(|| Duration::try_from_secs_f64(claimed::brief(&pairs)).ok()).flatten();
                    claims.brief = claims.brief.into_iter().chain(asked).min();
                }
                Finding::Untrue => {
                    let told = claimed::told(&pairs);
                    let message = format!("{metric}: {told}: the report leaves out time that the work took");
                    claims.untrue.push((key.clone(), Disqualification::InvalidMeasurement { message }));
                    break;
                }
            }
        }
    }
    claims
}

/// What a block says of one metric of one contender beside the baseline.
fn pair(block: &Block, contender: &Contender, metric: &MetricName) -> Option<Pair> {
    let of = |who: &Contender| read(&block.slices, who, metric);
    Pair::of(of(&Contender::Baseline)?, of(contender)?)
}
