//! The plan as a reviewer reads it before approving.

use std::fmt::Write;
use std::time::Duration;

use super::style::{Style, Tone};
use super::table::{Align, Cell, Table};
use super::words;
use crate::domain::estimate::{DECIDING, Difference, Estimate};
use crate::domain::fresh::{FEWEST, MOST};
use crate::domain::gate::Gate;
use crate::domain::landing::Require;
use crate::domain::plan::{ContractKind, Status};
use crate::domain::quantity::Tokens;
use crate::domain::service::Use;
use crate::domain::weights::Weight;
use crate::engine::before::preview::{Contestant, Isolation, NoteEffect, NoteLine, Outline};

/// The whole text.
pub fn outline(outline: &Outline, style: Style) -> String {
    let mut out = heading(outline, style);
    out.push_str(&variants(outline, style));
    let mut details = Table::bare([Align::Left, Align::Left, Align::Left]);
    for (head, lines) in sections(outline) {
        for (at, (what, text)) in lines.iter().enumerate() {
            let head = Cell::toned(Tone::Strong, if at == 0 { head } else { "" });
            details.row([head, Cell::from(what), Cell::from(text)]);
        }
    }
    out.push_str(&details.render(style));
    for risk in outline.uncommitted.iter().chain(&outline.risks) {
        let _ = writeln!(out, "{} {}", style.paint(Tone::Warn, "!"), words::one_line(risk));
    }
    out.push_str(&summary(outline, style));
    out
}

/// The same as JSON, for programs.
pub fn outline_json(outline: &Outline) -> String {
    super::report::json_text(outline)
}

/// Several of them, as one array.
pub fn outlines_json(outlines: &[Outline]) -> String {
    super::report::json_text(&outlines)
}

fn heading(outline: &Outline, style: Style) -> String {
    let status = match (outline.approved, outline.status) {
        (true, _) => "approved",
        (false, Status::Approved) => "approval is not valid",
        (false, Status::Drafting) => "drafting",
        (false, Status::Pending) => "pending",
        (false, Status::Completed) => "completed",
        (false, Status::Failed) => "failed",
        (false, Status::Rejected) => "rejected",
        (false, Status::Superseded) => "superseded",
    };
    let tone = if outline.approved { Tone::Good } else { Tone::Bad };
    format!(
        "{}  {} @ {}   {}   digest {}\n{}\n\n",
        style.paint(Tone::Strong, "Blueprint"),
        words::one_line(&outline.document),
        words::short(&outline.base),
        style.paint(tone, status),
        outline.digest.get(..12).unwrap_or(&outline.digest),
        words::one_line(&outline.title)
    )
}

fn variants(outline: &Outline, style: Style) -> String {
    let cap = outline.budget.step_tokens;
    let cap = cap.map_or_else(|| "no token cap a step".to_owned(), |cap| format!("≤ {} tokens a step", Tokens(cap)));
    let mut table = Table::bare([Align::Left; 5]);
    for variant in &outline.variants {
        let head = Cell::toned(Tone::Good, format!("+ variant {}", variant.key));
        let agent = format!("agent {}", outline.agent);
        let branch = format!("branch {}", variant.branch);
        table.row([head, Cell::from(&variant.name), Cell::from(agent), Cell::from(&cap), Cell::from(branch)]);
    }
    let mut out = String::new();
    for (row, variant) in table.rows(style).iter().zip(&outline.variants) {
        let _ = write!(out, "{row}{}", steps(variant));
    }
    out.push('\n');
    out
}

fn steps(variant: &Contestant) -> String {
    let mut out = String::new();
    for (at, step) in variant.steps.iter().enumerate() {
        let contract = match step.contract {
            ContractKind::Patch => "patch",
            ContractKind::NewFile => "new files only",
        };
        let text = format!("{}: {} ({contract})", step.title, step.files.join(", "));
        let _ = writeln!(out, "    {}. {}", at + 1, words::one_line(&text));
    }
    out
}

type Lines = Vec<(String, String)>;

fn sections(outline: &Outline) -> Vec<(&'static str, Lines)> {
    let titled = |what: &str, items: &[String]| -> Lines {
        let lines = items.iter().enumerate();
        lines.map(|(at, item)| (if at == 0 { what.to_owned() } else { String::new() }, item.clone())).collect()
    };
    let commands = &outline.commands;
    let metrics: Vec<_> = commands.metrics.iter().map(|s| format!("{} → {}", s.source, s.metrics.join(", "))).collect();
    let joined = |what: &str, items: &[String]| -> Lines {
        if items.is_empty() { Vec::new() } else { vec![(what.to_owned(), items.join(", "))] }
    };
    let (files, environment) = (&outline.files, &outline.environment);
    vec![
        (
            "Commands",
            [
                titled("set-up", &commands.setup),
                titled("build", &commands.build),
                joined("built in", &commands.built),
                titled("migrate", &commands.migrate),
                titled("tests", &commands.tests),
                titled("metrics", &metrics),
            ]
            .concat(),
        ),
        (
            "Files",
            [
                joined("may change", &files.may_change),
                joined("from base", &files.restored_from_base),
                joined("copied", &files.copied),
            ]
            .concat(),
        ),
        ("Env", [joined("set", &environment.set), joined("passed on", &environment.passed)].concat()),
        ("Models", outline.models.iter().map(|text| ("proxy".to_owned(), text.clone())).collect()),
        ("Database", service(outline, Use::Database)),
        ("Cache", service(outline, Use::Cache)),
        ("Sandbox", outline.sandbox.then(|| sandbox(outline.reached.as_deref())).into_iter().collect()),
        ("Judge", judge(outline)),
        ("Measure", measure(outline)),
        ("Estimate", outline.estimate.as_ref().map(estimate).unwrap_or_default()),
        ("Land", land(outline)),
    ]
}

fn service(outline: &Outline, used_as: Use) -> Lines {
    let isolation = outline.services.get(&used_as).and_then(Option::as_ref);
    let line = |i: &Isolation| (i.level.clone(), format!("{}; one a contender, removed after the run", i.why));
    isolation.map(line).into_iter().collect()
}

fn sandbox(reached: Option<&[String]>) -> (String, String) {
    let network = match reached {
        None => "the network is shared".to_owned(),
        Some([]) => "with a network of its own, which leads nowhere".to_owned(),
        Some(list) => format!("with a network of its own; set-up and builds reach {}", list.join(", ")),
    };
    ("bubblewrap".to_owned(), format!("one a contender, {network}"))
}

fn judge(outline: &Outline) -> Lines {
    let judge = &outline.judge;
    let weight = |name: &str, weight: &Weight| {
        let note = weight.note.as_ref().map(|note| format!(" ({note})")).unwrap_or_default();
        format!("{name} {} %{note}", weight.percent)
    };
    let weights = [
        weight("tests", &judge.tests),
        weight("performance", &judge.performance),
        weight("simplicity", &judge.simplicity),
    ];
    let titled = |title: &'static str, lines: Vec<String>| {
        let lines = lines.into_iter().enumerate();
        lines.map(move |(at, line)| (if at == 0 { title } else { "" }.to_owned(), line))
    };
    let notes = judge.notes.iter().map(note).collect();
    let bounds = judge.bounds.iter().map(|b| format!("{} {}", b.metric, b.text)).collect();
    let weights = [("weights".to_owned(), weights.join(" · "))].into_iter();
    weights.chain(titled("notes", notes)).chain(titled("gates", bounds)).collect()
}

/// What a weight's note does.
fn note(line: &NoteLine) -> String {
    let listed = |of: &[String]| if of.is_empty() { "none".to_owned() } else { of.join(", ") };
    let effect = match &line.effect {
        NoteEffect::Gates { covers: Gate::AllTests, .. } => {
            "whoever fails any test is out, also where the baseline fails it".to_owned()
        }
        NoteEffect::Gates { covers: Gate::PerformanceTests, suites, metrics } => format!(
            "whoever fails a test of performance is out, also where the baseline fails it; suites: {}; metrics: {}",
            listed(suites),
            listed(metrics)
        ),
        NoteEffect::Chooses { metrics } => format!("counts {}", listed(metrics)),
        NoteEffect::Prose => "prose, nothing is decided by it".to_owned(),
    };
    format!("{} ({}): {effect}", line.criterion, line.note)
}

fn measure(outline: &Outline) -> Lines {
    let ties = outline.measure.tie_break.iter().map(|source| {
        ("ties".to_owned(), format!("of equally simple variants the one with fewer {}", words::one_line(source)))
    });
    in_lanes(outline).into_iter().chain(ties).collect()
}

fn in_lanes(outline: &Outline) -> Lines {
    let lanes = &outline.measure.lanes;
    if let Some(first) = lanes.first() {
        let each = words::count(first.len(), "CPU");
        let text = format!("{}, {each} each, where a check sees that they do not disturb each other", lanes.len());
        return vec![("in lanes".to_owned(), text)];
    }
    outline.measure.why.iter().map(|why| ("one after another".to_owned(), why.clone())).collect()
}

/// What a block takes, how many fit, and what they tell.
fn estimate(estimate: &Estimate) -> Lines {
    let seconds = |seconds: f64| words::duration(Duration::from_secs_f64(seconds));
    let each = estimate.sources.iter().map(|source| format!("{} {}", source.source, seconds(source.seconds)));
    let each: Vec<_> = each.collect();
    if each.is_empty() {
        return vec![("a block".to_owned(), "nothing is measured in blocks".to_owned())];
    }
    let contenders = words::count(estimate.contenders, "contender");
    let block =
        format!("{}: {} ({contenders}; run {})", seconds(estimate.block_seconds), each.join(", "), estimate.from);
    let fits = format!(
        "{} after the warm-up in {}; {DECIDING} are the fewest that can decide ({})",
        words::count(estimate.blocks as usize, "block"),
        seconds(estimate.budget_seconds),
        seconds(estimate.needed().as_secs_f64())
    );
    let tells = match &estimate.tells {
        None => "no difference".to_owned(),
        Some(Difference { points, percent: None }) => {
            format!("{points:.1} points in half of all runs, which no value of the metrics would earn")
        }
        Some(Difference { points, percent: Some(percent) }) => {
            let percent = if *percent < 1.0 { "less than 1".to_owned() } else { format!("about {percent:.0}") };
            format!("{points:.1} points in half of all runs: metrics that are {percent} % better than the baseline's")
        }
    };
    let pair = 2.0 * estimate.sources.iter().map(|source| source.seconds).sum::<f64>();
    let fresh = format!(
        "set-up and build of two trees, and {} to {} of slices in fresh copies, before anybody lands who is faster than asked \
         for",
        seconds(pair * FEWEST as f64),
        seconds(pair * MOST as f64)
    );
    [("a block", block), ("fits", fits), ("tells", tells), ("fresh trees", fresh)]
        .map(|(what, text)| (what.to_owned(), text))
        .into()
}

fn land(outline: &Outline) -> Lines {
    let land = &outline.land;
    if !land.automatic {
        return vec![(format!("→ {}", land.branch), "nothing is merged; the winner stays on its branch".to_owned())];
    }
    let require = match land.require {
        Require::Better => "what is shown to be better than the baseline",
        Require::Leader => "whoever leads when the time ends, shown to be better or not",
        Require::Supported => "what is shown to be better than the baseline and every rival",
        Require::Unsuspicious => "what is shown to be better than the baseline, unless a line of it is suspicious",
    };
    let rewrites = format!("merge commit; rewrites {}", land.rewrites.join(", "));
    let line = |what: &str, text: &str| (what.to_owned(), text.to_owned());
    vec![
        (format!("→ {}", land.branch), require.to_owned()),
        (String::new(), rewrites),
        match land.record {
            "commit" => line("no winner", "a commit of the document alone says how it ended, unless undecided"),
            _ => line("no winner", "only the journal says how it ended"),
        },
        match land.unfinished {
            "judge" => line("unfinished", "a variant may compete of which work items were not carried out"),
            _ => line("unfinished", "a variant is out of which a work item was not carried out"),
        },
        match land.hooks {
            "run" => line("hooks", "run: pre-merge-commit, pre-commit and commit-msg may refuse what lands"),
            _ => line("hooks", "skipped"),
        },
        match land.sign {
            "auto" => line("signature", "as git is set to sign"),
            _ => line("signature", "none"),
        },
    ]
}

fn summary(outline: &Outline, style: Style) -> String {
    let budget = &outline.budget;
    let seconds = |seconds: u64| words::duration(Duration::from_secs(seconds));
    let tokens = budget.session_tokens.map_or_else(|| "no token cap".to_owned(), |t| format!("≤ {} tokens", Tokens(t)));
    let time = budget.time_cap_seconds.map_or_else(|| "no time cap".to_owned(), |s| format!("≤ {}", seconds(s)));
    let estimate = budget.time_estimate_seconds.map_or_else(String::new, |s| format!(" (estimate {})", seconds(s)));
    format!(
        "\n{} {} + baseline, {tokens}, {time}{estimate}, measuring ≤ {}\n",
        style.paint(Tone::Strong, "Plan:"),
        words::count(outline.variants.len(), "variant"),
        seconds(budget.measure_seconds)
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use crate::adapters::git::Customs;
    use crate::adapters::service::Choice;
    use crate::domain::lanes::Refusal;
    use crate::engine::before::known::{Known, Reach};

    fn example() -> Outline {
        let plan = fixtures::plan();
        let lines = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let sources = [("command: sh bench/cost.sh".to_owned(), lines(&["latency_p95", "size"]))];
        crate::engine::before::preview::outline(&Known {
            plan: &plan,
            document: "docs/blueprints/cost.md",
            digest: "9be1c2d3e4f5a6b7c8d9",
            approved: true,
            base: "3f2a1c9d00000000000000000000000000000000",
            target: "main",
            checked_out: true,
            agent: "command ./agent.sh",
            needs: None,
            models: &Reach::Through("openai at http://127.0.0.1:11434/v1".to_owned()),
            setup: &lines(&["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"]),
            build: &lines(&["cargo build --release"]),
            built: &lines(&["target"]),
            environment: crate::engine::before::known::Environment {
                set: lines(&["MODE"]),
                passed: lines(&["HTTPS_PROXY"]),
                missing: Vec::new(),
            },
            estimate: None,
            migrate: &lines(&["psql -f db/schema.sql"]),
            carry: &lines(&[".venv"]),
            protect: &lines(&["tests/**", "bench/**"]),
            harness: vec![("latency_p95".to_owned(), "src/cost.sh".to_owned())],
            measure_seconds: 900,
            lanes: Err(Refusal::FewCores { whole: 2, partial: 0 }),
            lanes_asked: false,
            require: Require::Better,
            merge: true,
            record: true,
            hooks: false,
            sign: false,
            customs: &Customs { hooks: vec!["commit-msg".to_owned()], signs: None },
            judge_unfinished: false,
            contestants_write_tests: false,
            trust: &[],
            services: vec![
                choice(Use::Database, "postgresql server", "initdb 16 found"),
                choice(Use::Cache, "redis server", "redis-server 7.0 found"),
            ],
            sources: &sources,
            uncommitted: &lines(&["bench/cost.sh is not committed"]),
            counts: &[],
            unchecked: &[],
            tie_break: None,
            sandbox: None,
            cpus: 2,
        })
    }

    fn choice(used_as: Use, level: &str, why: &str) -> Choice {
        Choice { used_as, level: level.to_owned(), why: why.to_owned() }
    }

    #[test]
    fn a_reviewer_sees_who_does_what_and_what_decides() {
        insta::assert_snapshot!(outline(&example(), Style::PLAIN), @"
        Blueprint  docs/blueprints/cost.md @ 3f2a1c9   approved   digest 9be1c2d3e4f5
        Lower the cost

        + variant A  Cost 20          agent command ./agent.sh  ≤ 15,000 tokens a step  branch blueprint/<run>/a
            1. The cost: cost.txt, notes/** (patch)
        + variant B  Cost 60          agent command ./agent.sh  ≤ 15,000 tokens a step  branch blueprint/<run>/b
            1. The cost: cost.txt, notes/** (patch)
            2. A cache: cache.txt (new files only)
        + variant C  Cost 85          agent command ./agent.sh  ≤ 15,000 tokens a step  branch blueprint/<run>/c
            1. The cost: cost.txt, notes/** (patch)
            2. A cache: cache.txt (new files only)
        + variant D  Elsewhere | <b>  agent command ./agent.sh  ≤ 15,000 tokens a step  branch blueprint/<run>/d
            1. The cost: cost.txt, notes/** (patch)

        Commands  set-up             python3 -m venv .venv
                                     .venv/bin/pip install -r requirements.txt
                  build              cargo build --release
                  built in           target
                  migrate            psql -f db/schema.sql
                  tests              sh tests/run.sh
                                     Load test with 1000 concurrent requests
                  metrics            command: sh bench/cost.sh → latency_p95, size
        Files     may change         cache.txt, cost.txt, notes/**
                  from base          tests/**, bench/**
                  copied             .venv
        Env       set                MODE
                  passed on          HTTPS_PROXY
        Models    proxy              openai at http://127.0.0.1:11434/v1
        Database  postgresql server  initdb 16 found; one a contender, removed after the run
        Cache     redis server       redis-server 7.0 found; one a contender, removed after the run
        Judge     weights            tests 50 % · performance 30 % (p95 latency) · simplicity 20 %
                  notes              performance (p95 latency): counts latency_p95
                  gates              latency_p95 < 80 ms
                                     size <= +10 % of the baseline
        Measure   one after another  2 cores, lanes need 4
        Land      → main             what is shown to be better than the baseline
                                     merge commit; rewrites Results, Winner, Analysis, Status, Updated, Artifacts
                  no winner          a commit of the document alone says how it ended, unless undecided
                  unfinished         a variant is out of which a work item was not carried out
                  hooks              skipped
                  signature          none
        ! bench/cost.sh is not committed
        ! no sandbox: agents and judged code run with your permissions on this machine
        ! merges into `main`, which is checked out
        ! hooks are not run on what lands: commit-msg (`land: {hooks: run}` runs them)
        ! measures on 2 CPUs: other work on this machine shows in the values

        Plan: 4 variants + baseline, ≤ 80,000 tokens, ≤ 60 min (estimate 30 min), measuring ≤ 15 min
        ");
    }

    #[test]
    fn a_document_without_caps_services_or_metrics_leaves_those_lines_out() {
        let mut bare = example();
        bare.approved = false;
        bare.status = Status::Pending;
        bare.services.clear();
        bare.commands.setup.clear();
        bare.commands.build.clear();
        bare.commands.built.clear();
        bare.environment = crate::engine::before::known::Environment::default();
        bare.commands.migrate.clear();
        bare.commands.metrics.clear();
        bare.judge.bounds.clear();
        bare.measure.why = None;
        bare.files.copied.clear();
        bare.land.automatic = false;
        bare.budget.step_tokens = None;
        bare.budget.session_tokens = None;
        bare.budget.time_cap_seconds = None;
        bare.budget.time_estimate_seconds = None;
        bare.risks.clear();
        insta::assert_snapshot!(outline(&bare, Style::PLAIN), @"
        Blueprint  docs/blueprints/cost.md @ 3f2a1c9   pending   digest 9be1c2d3e4f5
        Lower the cost

        + variant A  Cost 20          agent command ./agent.sh  no token cap a step  branch blueprint/<run>/a
            1. The cost: cost.txt, notes/** (patch)
        + variant B  Cost 60          agent command ./agent.sh  no token cap a step  branch blueprint/<run>/b
            1. The cost: cost.txt, notes/** (patch)
            2. A cache: cache.txt (new files only)
        + variant C  Cost 85          agent command ./agent.sh  no token cap a step  branch blueprint/<run>/c
            1. The cost: cost.txt, notes/** (patch)
            2. A cache: cache.txt (new files only)
        + variant D  Elsewhere | <b>  agent command ./agent.sh  no token cap a step  branch blueprint/<run>/d
            1. The cost: cost.txt, notes/** (patch)

        Commands  tests       sh tests/run.sh
                              Load test with 1000 concurrent requests
        Files     may change  cache.txt, cost.txt, notes/**
                  from base   tests/**, bench/**
        Models    proxy       openai at http://127.0.0.1:11434/v1
        Judge     weights     tests 50 % · performance 30 % (p95 latency) · simplicity 20 %
                  notes       performance (p95 latency): counts latency_p95
        Land      → main      nothing is merged; the winner stays on its branch
        ! bench/cost.sh is not committed

        Plan: 4 variants + baseline, no token cap, no time cap, measuring ≤ 15 min
        ");
    }

    #[test]
    fn lanes_that_would_be_used_are_told_with_their_cpus() {
        let mut wide = example();
        wide.measure.lanes = vec![vec![2, 3], vec![4, 5], vec![6, 7]];
        let text = outline(&wide, Style::PLAIN);
        let line = text.lines().find(|line| line.starts_with("Measure")).unwrap();
        assert!(line.contains("in lanes") && line.contains("3, 2 CPUs each"), "{line}");
    }

    #[test]
    fn programs_get_all_of_it() {
        insta::assert_snapshot!(outline_json(&example()));
    }

    #[test]
    fn colours_change_nothing_but_colours() {
        let coloured = outline(&example(), Style::COLOURED);
        assert_eq!(words::visible(&coloured, false), outline(&example(), Style::PLAIN));
    }
}
