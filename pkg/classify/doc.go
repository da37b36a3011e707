// Package classify says, for each service that a post names, what the post tells of it: an outage, a bug, a complaint, a recovery, the
// operator's word, or something else; with a calibrated probability and, where it applies, the function that fails.
//
// It must never read or write anything while classifying, look at the clock, keep a text, or panic: every text comes from outside.
// The labels are defined in Outcry's labelling guide; MODEL.md states what the model was trained on, what it reaches and where it ends.
//
// Not obvious:
//   - Package names finds services first. A post that names none costs nothing more: no tokens, no memory.
//   - Each service is judged by itself: the same words are read once from the side of each (package internal/feature).
//   - `official` is a claim about who speaks. It needs the operator's account (Input.OfficialOf, or an author in brackets before the
//     text) or an operator's wording, else the next best label is given.
//   - "internet" is the unnamed connection: it is not mentioned beside a named provider, because then the provider is meant.
package classify
