// Package series runs the detector's model over any series of counts in a CSV file: outcry detect --csv.
//
// It exists to try detection on data that are not posts (report counts, request volumes, published benchmarks). The baseline, its
// negative binomial tail, the scan statistic and the guard against usual bursts are those of package detect; here the grid is the rows
// of the file and the windows are 1, 2, 3 and 6 rows.
//
// Each row is judged from the rows before it alone, so the output of a cut-off file is the beginning of the output of the whole.
//
// Two columns answer two questions. alarm is 1 while an incident would be open: from the first row that chance does not explain to an
// hour of calm. score, 0 to 1, says how much news a row is: how far it exceeds the usual bursts of its own series, and what was
// announced within the last day; it is above 0.5 where a row starts an alarm out of the blue and low where it repeats one.
package series
