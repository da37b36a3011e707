// Package classifier is the second stage: it reads posts.v1, asks pkg/classify what each post says of which service, and writes
// mentions, retractions and progress to mentions.v1. It must never count people.
//
// What is not obvious:
//
//   - Progress is written at the very record that takes a partition's watermark over a step of the decision grid, so its place among the
//     mentions depends on the log alone: batch sizes and restarts cannot change a decision.
//   - Each batch ends with a Progress too, right before the commit. A stretch that is repeated after a crash therefore begins at a
//     committed offset or at a step, and replaces its first telling in source_minutes.
package classifier
