// Package root finds which incident caused which: when a provider fails, the services that run on it fail with it, and people should hear
// of one cause and not of ten outages.
//
// It judges pairs of incidents that begin close together, from what the incidents themselves say and from the dependency graph:
//
//   - the graph: whether the one service runs on the other, directly or through a third;
//   - co-mentions: which part of the people who report the one name the other in the same breath, and the other way round;
//   - the onset: a consequence begins with its cause or after it, but for some minutes, because people meet the service before they
//     hear of what is behind it;
//   - company: other services that run on the same provider and fail at the same time.
//
// Each adds to the log-odds that the one caused the other. By default two outages at once are unrelated: without either the graph or
// co-mentions nothing else is enough.
//
// It must never do I/O or call the clock. What comes out is a function of the set of incidents, not of the order in which they came, and
// numbers in it are rounded, so that each further report does not change it.
package root
