//! Resolves what must hold of a case, and sees that its workers could meet it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::case::Builder;
use crate::diagnostic::Code;
use crate::expression::Scope;
use crate::model::{Checks, CountRange, Expectation, Growth, Invariant, LatencyBound, Origin};
use crate::outcome::OutcomeKind;
use crate::port::At;
use crate::scenario::model;

impl Builder<'_> {
    /// The checks of the case, whose groups have these sizes.
    pub(super) fn checks(&mut self, sizes: &[u64], scope: &Arc<Scope>) -> Option<Checks> {
        let checks = &self.scenario.checks;
        let everybody: Vec<usize> = (0..sizes.len()).collect();
        let expect: Vec<_> = checks.expect.iter().map(|e| self.expectation(e, &everybody, sizes, scope)).collect();
        let by_group: Vec<_> = checks
            .by_group
            .iter()
            .map(|(name, expectation)| {
                let index = self.scenario.groups.iter().position(|group| group.name.value == name.value)?;
                Some((index, self.expectation(expectation, &[index], sizes, scope)?))
            })
            .collect();
        let sometimes: Vec<_> =
            checks.sometimes.iter().map(|(outcome, count)| Some((outcome.value, self.count(count, scope)?))).collect();
        let invariants: Vec<_> = checks
            .invariants
            .iter()
            .map(|invariant| {
                let (target, probe) = self.request(&invariant.probe, &invariant.span, &[invariant.on.as_ref()])?;
                Some(Invariant {
                    name: invariant.name.value.clone(),
                    target,
                    probe,
                    that: invariant.that.expression.clone(),
                    scope: scope.clone(),
                    place: self.place(&invariant.name.span),
                })
            })
            .collect();
        Some(Checks {
            expect: expect.into_iter().collect::<Option<_>>()?,
            by_group: by_group.into_iter().collect::<Option<_>>()?,
            sometimes: sometimes.into_iter().collect::<Option<_>>()?,
            latency: checks
                .latency
                .iter()
                .map(|bound| LatencyBound {
                    key: bound.metric.key.value.clone(),
                    step: bound.metric.step.clone(),
                    quantile: bound.metric.quantile,
                    at_most: bound.at_most,
                    place: self.place(&bound.metric.key.span),
                })
                .collect(),
            invariants: invariants.into_iter().collect::<Option<_>>()?,
            growth: checks
                .growth
                .iter()
                .map(|growth| Growth {
                    name: growth.name.value.clone(),
                    metric: growth.metric.key.value.clone(),
                    step: growth.metric.step.clone(),
                    quantile: growth.metric.quantile,
                    over: growth.over.value.clone(),
                    at_most: growth.at_most,
                    place: self.place(&growth.name.span),
                })
                .collect(),
        })
    }

    /// The counts of an expectation, which the workers of `groups` must be able to meet.
    fn expectation(
        &mut self,
        expectation: &model::Expectation,
        groups: &[usize],
        sizes: &[u64],
        scope: &Scope,
    ) -> Option<Expectation> {
        let counts: Vec<_> = expectation
            .counts
            .iter()
            .map(|(outcome, count)| Some((outcome.value, self.count(count, scope)?)))
            .collect();
        let counts: BTreeMap<OutcomeKind, CountRange> = counts.into_iter().collect::<Option<_>>()?;
        let workers: u64 = groups.iter().map(|group| sizes[*group]).sum();
        let least = counts.values().fold(0u64, |sum, range| sum.saturating_add(range.low));
        let most = counts.values().try_fold(0u64, |sum, range| Some(sum.saturating_add(range.high?)));
        let wanted = if least > workers {
            Some(format!("at least {least}"))
        } else {
            most.filter(|most| *most < workers).map(|most| format!("at most {most}"))
        };
        if let Some(wanted) = wanted {
            let message = format!("the expected counts add up to {wanted}, but {workers} workers race");
            let (first, last) = (expectation.counts.first(), expectation.counts.last());
            let span = first.zip(last).map_or(expectation.span.clone(), |(f, l)| f.0.span.start..l.1.span.end);
            let mut diagnostic = self.diagnostic(Code::UnmeetableExpectation, message).at(&span, wanted);
            for group in groups {
                let (size, span) = (sizes[*group], self.scenario.groups[*group].count_span());
                diagnostic = diagnostic.see(span, format!("{size} worker{}", if size == 1 { "" } else { "s" }));
            }
            self.push(
                diagnostic
                    .help("every worker ends in one outcome, so the counts must be able to add up to all workers"),
            );
        }
        let places = expectation.counts.iter().map(|(outcome, _)| (outcome.value, self.place(&outcome.span)));
        let places = places.collect();
        let text = |name: &Option<At<String>>| name.as_ref().map(|name| name.value.clone());
        let origins = expectation.origins.iter();
        let origins = origins.map(|it| (it.outcome, Origin { at: text(&it.at), code: text(&it.code) })).collect();
        Some(Expectation { counts, places, origins, place: self.place(&expectation.span) })
    }
}
