// Package window counts distinct people in sliding windows of event time that end on the decision grid.
// It must never call the clock: steps are handed in.
//
// An author counts once in a window, however often they post in it. Only the latest step of each author is kept, because an author is in
// a window exactly if their latest post is; so a window costs one number for each step and one map entry for each author.
package window
