// Package linear is multinomial logistic regression over hashed features: fitting, quantising, storing and applying it.
//
// It must never know what features or classes mean. Fitting is deterministic: one thread, a seed, sums in a fixed order and without
// fused operations, so the same examples give the same bytes.
package linear
