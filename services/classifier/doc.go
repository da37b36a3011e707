// Package classifier is the second stage: it reads posts.v1, asks pkg/classify what each post says of which service, and writes
// mentions, retractions and progress to mentions.v1. It must never count people.
//
// What is not obvious:
//
//   - Progress is written at the very record that takes a partition's watermark over a step of the decision grid, so its place among the
//     mentions depends on the log alone: batch sizes and restarts cannot change a decision.
//   - Each batch ends with a Progress too, right before the commit. After a crash the batch is told again from its beginning, perhaps
//     divided otherwise: how far the watermark was is forgotten. Each Progress therefore says where its batch began.
package classifier
