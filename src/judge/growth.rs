//! Cost that must not grow: a power law fitted over the cases of a scenario.

use std::collections::BTreeMap;

use crate::model::{Case, Growth};
use crate::statistics::{LEAST_POINTS, PowerLaw};
use crate::value::Value;

use super::tally::CaseTally;
use super::verdict::Verdict;

/// What one case says about a growth check.
#[derive(Debug, Clone, PartialEq)]
pub struct GrowthPoint {
    /// The case's id.
    pub case: String,
    /// The case's other axes: one power law is fitted for each combination of them.
    pub others: BTreeMap<String, Value>,
    /// The value of the axis.
    pub x: f64,
    /// The metric in nanoseconds; `None` when too few operations support its quantile.
    pub y_ns: Option<u64>,
}

/// One growth check judged, for one combination of the other axes.
#[derive(Debug, Clone, PartialEq)]
pub struct GrowthVerdict {
    /// Its name.
    pub name: String,
    /// The control whose cases these are; `None` for the scenario's own.
    pub control: Option<String>,
    /// The axes held fixed.
    pub others: BTreeMap<String, Value>,
    /// The points, by rising x.
    pub points: Vec<GrowthPoint>,
    /// The fitted law; `None` when it cannot be fitted.
    pub fit: Option<PowerLaw>,
    /// For the scenario's own: pass when the exponent is at most the bound. For a control: pass when it was caught, that is, when it is more.
    pub verdict: Verdict,
    /// Why it is not a pass.
    pub reason: Option<String>,
}

impl GrowthPoint {
    /// What `case` says about `growth`. `None` when the axis has no number above zero in this case.
    pub fn of(case: &Case, tally: &CaseTally, growth: &Growth) -> Option<GrowthPoint> {
        let x = match case.axes.get(&growth.over)? {
            Value::Int(number) => *number as f64,
            Value::Float(number) => *number,
            _ => return None,
        };
        let others = case.axes.iter().filter(|(name, _)| **name != growth.over);
        (x > 0.0).then(|| GrowthPoint {
            case: case.id.clone(),
            others: others.map(|(name, value)| (name.clone(), value.clone())).collect(),
            x,
            y_ns: tally.latency(&growth.step).quantile(growth.quantile),
        })
    }
}

/// Judges `growth` over a scenario's points: those of its own cases (`control` is `None`), or those of one control, which is caught when
/// its cost grows too fast. One verdict per combination of the other axes.
pub fn judge_growth(growth: &Growth, control: Option<&str>, points: &[GrowthPoint]) -> Vec<GrowthVerdict> {
    let mut families: Vec<Vec<GrowthPoint>> = Vec::new();
    for point in points {
        match families.iter_mut().find(|family| family[0].others == point.others) {
            Some(family) => family.push(point.clone()),
            None => families.push(vec![point.clone()]),
        }
    }
    if families.is_empty() {
        families.push(Vec::new());
    }
    families.into_iter().map(|family| judge_family(growth, control, family)).collect()
}

fn judge_family(growth: &Growth, control: Option<&str>, mut points: Vec<GrowthPoint>) -> GrowthVerdict {
    points.sort_by(|left, right| left.x.total_cmp(&right.x));
    let measured: Vec<(f64, f64)> =
        points.iter().filter_map(|point| Some((point.x, point.y_ns?.max(1) as f64))).collect();
    let unsupported = points.iter().find(|point| point.y_ns.is_none());
    // A point left out could be the very one that shows the growth, so all of them are needed.
    let fit = if unsupported.is_none() { PowerLaw::fit(&measured) } else { None };
    let Growth { name, metric, over, at_most, .. } = growth;
    let (verdict, reason) = match (fit, control) {
        (Some(fit), None) if fit.exponent <= *at_most => (Verdict::Pass, None),
        (Some(fit), Some(_)) if fit.exponent > *at_most => (Verdict::Pass, None),
        (Some(fit), None) => {
            let exponent = fit.exponent;
            (
                Verdict::Fail,
                format!("`{metric}` grows like {over}^{exponent:.2}, expected at most {over}^{at_most}").into(),
            )
        }
        (Some(fit), Some(control)) => {
            let exponent = fit.exponent;
            let reason = format!(
                "control `{control}` was not caught: `{metric}` grows like {over}^{exponent:.2}, within {over}^{at_most}"
            );
            (Verdict::Fail, Some(reason))
        }
        (None, _) => {
            let reason = match unsupported {
                Some(point) => format!("`{metric}` had too few operations in `{}`; raise `rounds`", point.case),
                None => format!(
                    "a growth needs at least {LEAST_POINTS} cases with different `{over}` above zero, and {} were raced",
                    points.len()
                ),
            };
            (Verdict::Inconclusive, Some(reason))
        }
    };
    let others = points.first().map(|point| point.others.clone()).unwrap_or_default();
    GrowthVerdict { name: name.clone(), control: control.map(str::to_owned), others, points, fit, verdict, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::place;

    fn growth() -> Growth {
        Growth {
            name: "lookup is O(1)".to_owned(),
            metric: "latest-version.p50".to_owned(),
            step: "latest-version".to_owned(),
            quantile: 0.5,
            over: "events".to_owned(),
            at_most: 0.1,
            place: place(30),
        }
    }

    fn points(backend: &str, ys: &[(f64, Option<u64>)]) -> Vec<GrowthPoint> {
        ys.iter()
            .map(|(x, y_ns)| GrowthPoint {
                case: format!("lookup[backend={backend},events={x}]"),
                others: BTreeMap::from([("backend".to_owned(), Value::text(backend))]),
                x: *x,
                y_ns: *y_ns,
            })
            .collect()
    }

    #[test]
    fn flat_passes_and_linear_fails_each_backend_for_itself() {
        let mut all = points("memory", &[(1.0, Some(1_000)), (100.0, Some(1_050)), (10_000.0, Some(990))]);
        all.extend(points("sqlite", &[(10_000.0, Some(10_000_000)), (1.0, Some(1_000)), (100.0, Some(100_000))]));
        let verdicts = judge_growth(&growth(), None, &all);
        assert_eq!(verdicts.iter().map(|it| it.verdict).collect::<Vec<_>>(), [Verdict::Pass, Verdict::Fail]);
        let reason = verdicts[1].reason.as_deref().unwrap();
        assert_eq!(reason, "`latest-version.p50` grows like events^1.00, expected at most events^0.1");
        assert_eq!(verdicts[1].points[0].x, 1.0, "points are sorted");
    }

    #[test]
    fn a_control_is_caught_by_growing() {
        let linear = points("memory", &[(1.0, Some(1_000)), (10.0, Some(10_000)), (100.0, Some(100_000))]);
        assert_eq!(judge_growth(&growth(), Some("scan"), &linear)[0].verdict, Verdict::Pass);
        let flat = points("memory", &[(1.0, Some(1_000)), (10.0, Some(1_000)), (100.0, Some(1_000))]);
        let survived = &judge_growth(&growth(), Some("scan"), &flat)[0];
        assert_eq!(survived.verdict, Verdict::Fail);
        assert!(survived.reason.as_deref().unwrap().starts_with("control `scan` was not caught"));
    }

    #[test]
    fn too_little_is_inconclusive() {
        let two = points("memory", &[(1.0, Some(1_000)), (10.0, Some(1_000))]);
        assert_eq!(judge_growth(&growth(), None, &two)[0].verdict, Verdict::Inconclusive);
        let unsupported = points("memory", &[(1.0, Some(1)), (10.0, Some(1)), (50.0, Some(1)), (100.0, None)]);
        let verdict = &judge_growth(&growth(), None, &unsupported)[0];
        assert_eq!((verdict.verdict, verdict.fit), (Verdict::Inconclusive, None));
        assert_eq!(judge_growth(&growth(), None, &[])[0].verdict, Verdict::Inconclusive);
    }
}
