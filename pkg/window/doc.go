// Package window counts distinct people in sliding windows of event time that end on the decision grid.
// It must never call the clock: steps are handed in.
//
// An author counts once in a window, however often they post in it. Only the latest step of each author is kept, because an author is in
// a window exactly if their latest post is; so a window costs one number for each step and one map entry for each author.
//
// Memory is bounded by People.Limit, not by the size of an outage: above it each step keeps a HyperLogLog sketch (Flajolet et al. 2007) of
// 16 KiB instead of its authors, 6 MB for all steps together, and the counts have a standard error of 0.8 %. That the sketches are
// axiomhq's is for its dense form, whose state does not depend on the order of insertion; nothing else imports it.
package window
