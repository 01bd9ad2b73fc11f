//! A metric out of the contender's database: one query that answers with one number, such as the
//! size of an index.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::asked::{Asked, Binding};
use super::value::{clip, reading};
use super::{Cadence, Meter, MetricError, MetricSource, Sample, Site, Slot};
use crate::adapters::process::Program;
use crate::adapters::sql::query::QueryError;
use crate::adapters::sql::scalar;
use crate::domain::measurement::{MetricName, Timing};
use crate::domain::quantity::{Dimension, Quantity};
use crate::error::Error;

/// A query that has no limit of its own may take this long.
const LIMIT: Duration = Duration::from_secs(60);

/// One query, one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name in the blueprint.
    pub name: MetricName,
    /// Answers with one row of one column; run read-only.
    pub query: String,
    /// What the number is in, such as `B`.
    pub unit: String,
}

impl Binding for Settings {
    const KEYS: &'static [&'static str] = &["sql", "unit"];
    const TOLD_BY: Option<&'static str> = Some("sql");

    fn read(asked: &Asked) -> Result<Self, Error> {
        Ok(Self { name: asked.name.clone(), query: asked.sql()?, unit: asked.unit()? })
    }

    fn programs(&self) -> Vec<&Program> {
        Vec::new()
    }
}

/// The source.
pub struct Sql {
    name: String,
    settings: Settings,
}

impl Sql {
    /// From its settings.
    pub fn new(settings: Settings) -> Self {
        Self { name: format!("sql: {}: {}", settings.name, clip(&settings.query)), settings }
    }
}

#[async_trait]
impl MetricSource for Sql {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> Vec<MetricName> {
        vec![self.settings.name.clone()]
    }

    fn dimension(&self, metric: &MetricName) -> Option<Dimension> {
        let known = Quantity::in_unit(1.0, &self.settings.unit).ok().map(Quantity::dimension);
        known.filter(|_| self.settings.name == *metric)
    }

    fn cadence(&self) -> Cadence {
        Cadence::Once
    }

    fn stays(&self) -> bool {
        true
    }

    async fn open(&self, site: &Site) -> Result<Box<dyn Meter>, MetricError> {
        let Some(url) = site.env.get("DATABASE_URL").cloned() else {
            return Err(MetricError::Machine(format!(
                "{}: there is no database to ask: blueprint.yaml names none under `database`",
                self.settings.name
            )));
        };
        Ok(Box::new(Query { settings: self.settings.clone(), url, site: site.clone() }))
    }
}

struct Query {
    settings: Settings,
    url: String,
    site: Site,
}

#[async_trait]
impl Meter for Query {
    async fn sample(&mut self, slot: Slot) -> Result<Sample, MetricError> {
        let Settings { name, query, unit } = &self.settings;
        let started = Instant::now();
        let limit = slot.limit.unwrap_or(LIMIT);
        let answer = tokio::select! {
            biased;
            () = self.site.stop.cancelled() => return Err(MetricError::Stopped),
            answer = scalar::number(&self.url, query, limit) => answer,
        };
        let place = format!("`{}`", clip(query));
        let value = answer.map_err(|why| match why {
            QueryError::Server(why) => MetricError::Machine(format!("{name} ({place}): {why}")),
            QueryError::Query(why) => MetricError::Variant(format!("{name} ({place}): {why}")),
        })?;
        let reading = reading(name, value, unit, 1, &place)?;
        let timing = Timing { wall: started.elapsed(), ..Timing::default() };
        Ok(Sample { readings: vec![reading], timing, own: None, output: None })
    }

    async fn close(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dimension_is_that_of_the_unit() {
        let name = MetricName::new("index_size").unwrap();
        let query = "select 1".to_owned();
        let source = Sql::new(Settings { name: name.clone(), query, unit: "B".to_owned() });
        assert_eq!(source.dimension(&name), Some(Dimension::Bytes));
        assert_eq!(source.dimension(&MetricName::new("other").unwrap()), None);
        assert_eq!((source.name(), source.cadence()), ("sql: index_size: select 1", Cadence::Once));
    }
}
