// Package series runs the detector's model over any series of counts in a CSV file: outcry detect --csv.
//
// It exists to try detection on data that are not posts (report counts, request volumes, published benchmarks). The baseline, its
// negative binomial tail, the scan statistic and the guard against usual bursts are those of package detect; here the grid is the rows
// of the file and the windows are 1, 2, 3 and 6 rows.
//
// Each row is judged from the rows before it alone, so the output of a cut-off file is the beginning of the output of the whole.
//
// Two columns answer two questions. alarm is 1 while an incident would be open: from the first row that chance explains less often than
// the budget allows to an hour of calm. score, 0 to 1, says how much news a row is, comparable between series: by how many standard
// deviations its logarithm exceeds the usual highest of a day and a half, less what was announced within the last eleven hours. One
// threshold for many series then takes the extreme burst of each, once, where it begins.
//
// The guard against usual bursts and the scan statistic must both agree before a row alarms. Each of the windows may therefore spend the
// whole budget: they are nested, so that what one of them finds the others find as well, and chance alone stays below the budget (tests).
package series
