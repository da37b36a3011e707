// Package engine runs Alertmanager's own packages in this process: routes, grouping, inhibition, silences, time intervals, receivers, the
// notification log, and the API that amtool speaks. It is the only importer of github.com/prometheus/alertmanager.
//
// It exists because teams have an alertmanager.yml and know what it does. It must never decide what is worth an alert, nor change what the
// configuration says.
//
// What is not obvious:
//
//   - Alertmanager writes its notification log and silences to disk every fifteen minutes and at its end. Here every entry goes into a
//     journal at once, through the hooks by which a cluster would spread it: a process that is killed does not page again.
//   - Alerts are in memory only, as in Alertmanager. Whoever uses an Engine tells it all alerts at its start, before it dispatches, so that
//     inhibition sees the roots before their consequences are judged.
//   - At the end, notifications that are under way get a moment to come through and into the log.
//   - Alertmanager's packages keep goroutines for a moment after their end; Stop waits for what delivers.
package engine
