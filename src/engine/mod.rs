//! Runs the rounds of a case: releases workers together and writes down what happened.

pub mod record;
