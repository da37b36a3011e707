// Package backtest holds incidents against what is known to have happened, and says how far the incidents can be trusted: precision,
// recall, lead and false alarms a month, per service and overall, with the intervals that small samples deserve.
//
// It never detects anything: the incidents come from the same stages that work live.
//
// # What counts as what
//
// An incident is true when it overlaps a known outage of its service, from ten minutes before the outage to half an hour after it. Further
// incidents of the same outage are repeats: neither another hit nor a false alarm. Where the truth is complete (a simulation, a file that
// says so), any other incident is a false alarm. Where it is not (recorded posts), an incident that the vendor spoke about is
// true, one that a person dismissed is false, and the rest are unproven: they are counted as false alarms, so that precision is a lower
// bound, and shown apart.
//
// # Intervals
//
// 95 %: Wilson's score interval for shares (Wilson 1927, JASA 22:209), the exact interval for Poisson counts (Garwood 1936,
// Biometrika 28:437). Leads are medians, with the least and the most.
package backtest
