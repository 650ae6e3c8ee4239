//! A plan as a text for people, and as a JSON document.

use cuttlefish_core::topology::excerpt::Excerpt;
use serde_json::{Value, json};

use super::plan::TargetPlan;
use crate::deploy::docker::cost::{Cost, MemoryUse};
use crate::deploy::docker::estimate::DockerEstimate;
use crate::deploy::docker::limits::{Limit, Standing};
use crate::deploy::estimate::Estimate;
use crate::report::numbers::{size, thousands};
use crate::report::table::align;

impl TargetPlan {
    /// The plan as a JSON document.
    ///
    /// # Errors
    /// When a number of it is none of JSON's.
    pub fn document(&self) -> Result<Value, serde_json::Error> {
        let mut document = serde_json::to_value(&self.plan)?;
        match &self.estimate {
            Estimate::Local => {}
            Estimate::Docker(estimate, problem) => {
                document["cost"] = json!(estimate.cost);
                document["host"] = json!(estimate.host);
                document["host_problem"] = json!(problem);
                document["limits"] = json!(estimate.limits);
            }
            Estimate::Ecs(_, cost) => document["ecs"] = json!(cost),
        }
        if let Some(differences) = &self.differences {
            document["differs"] = json!(differences);
        }
        if let Some(problem) = &self.unknown {
            document["differs_problem"] = json!(problem);
        }
        if let Some(obstacle) = &self.obstacle {
            document["obstacle"] = json!(obstacle);
        }
        Ok(document)
    }

    /// The plan for people.
    pub fn text(&self) -> String {
        let mut text = self.plan.to_string();
        match &self.estimate {
            Estimate::Local => {}
            Estimate::Docker(estimate, problem) => {
                text.push_str(&docker_text(estimate, problem.as_deref()));
            }
            Estimate::Ecs(services, cost) => text.push_str(&cost.text(services)),
        }
        let is_local = matches!(self.estimate, Estimate::Local);
        if let Some(differences) = self.differences.as_ref().filter(|_| !is_local) {
            text.push_str("\n`up` would change\n");
            for difference in differences {
                text.push_str(&format!("  {difference}\n"));
            }
            if differences.is_empty() {
                text.push_str("  nothing\n");
            }
        }
        if let Some(problem) = &self.unknown {
            text.push_str(&format!("\nwhat `up` would change is unknown: {problem}\n"));
        }
        if let Some(obstacle) = &self.obstacle {
            text.push_str(&format!("\nin the way: {obstacle}\n"));
        }
        text
    }
}

/// Memory and limits of the host, and what is said about them.
fn docker_text(estimate: &DockerEstimate, problem: Option<&str>) -> String {
    let host = estimate.host.as_ref().map_or("Docker".to_owned(), |host| {
        format!("{}, {} processors", host.name, host.processors)
    });
    let mut text = format!(
        "\nmemory on the host\n\n{}\nlimits of {host}\n\n{}",
        indent(&memory_rows(&estimate.cost), 1),
        indent(&limit_rows(&estimate.limits), 2),
    );
    for limit in estimate.limits_with(Standing::Noted) {
        text.push_str(&format!("\nnote: {limit}\n"));
    }
    let exceeded: Vec<&Limit> = estimate.limits_with(Standing::Exceeded).collect();
    for limit in &exceeded {
        text.push_str(&format!("\nexceeded: {limit}\n"));
    }
    if !exceeded.is_empty() {
        text.push_str("\n`up` refuses this\n");
    }
    if let Some(problem) = problem {
        text.push_str(&format!("\nthe host's limits are unknown: {problem}\n"));
    }
    text
}

fn indent(rows: &[Vec<String>], left: usize) -> String {
    let lines = align(rows, left);
    lines.lines().map(|line| format!("  {line}\n")).collect()
}

fn row<const N: usize>(cells: [&str; N]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn memory_rows(cost: &Cost) -> Vec<Vec<String>> {
    let mut rows = vec![row([
        "expected use of",
        "containers",
        "each",
        "together",
        "limit of each",
    ])];
    let together = |of: &MemoryUse| of.containers.saturating_mul(of.expected_bytes);
    let one = |of: &MemoryUse| {
        vec![
            of.used_by.clone(),
            thousands(of.containers),
            size(of.expected_bytes),
            size(together(of)),
            of.limit_bytes.map_or("-".to_owned(), size),
        ]
    };
    let several = |of: &[MemoryUse]| {
        vec![
            format!("... {} more", thousands(of.len() as u64)),
            thousands(of.iter().map(|of| of.containers).sum()),
            String::new(),
            size(of.iter().map(together).fold(0, u64::saturating_add)),
        ]
    };
    // Units of all layers come first, then synapses, and then what there is once.
    for kind in cost
        .memory
        .chunk_by(|one, next| one.is_unit == next.is_unit)
    {
        let excerpt = Excerpt::of(kind.len());
        rows.extend(excerpt.rows(|row| one(&kind[row]), |between| several(&kind[between])));
    }
    let together = size(cost.expected_memory());
    rows.push(row([
        "total",
        "",
        "",
        &together,
        &size(cost.memory_limits()),
    ]));
    rows
}

fn limit_rows(limits: &[Limit]) -> Vec<Vec<String>> {
    let mut rows = vec![row(["limit", "", "needed", "available"])];
    for limit in limits {
        let available = limit.available.map(|available| limit.amount(available));
        rows.push(vec![
            limit.what.clone(),
            limit.standing.word().to_owned(),
            limit.amount(limit.needed),
            available.unwrap_or_default(),
        ]);
    }
    rows
}
