// Package detect decides whether the number of people who report an outage of one service is more than chance explains.
//
// It exists so that one number, the false-alarm budget, replaces every threshold that a person would have to guess. A Detector sees how
// many distinct people were heard in the last 1, 5, 15 and 60 minutes, every 10 seconds of event time. It knows what is usual for the
// service (internal/baseline) and how far chance goes from there (internal/negbin), and raises an alarm where chance would go so far
// less often than the budget allows.
//
// # From budget to threshold
//
// Let B be the budget in false alarms a month, T a month. Each of the four windows gets B/4. In a month a window of length w fits T/w
// times; but it slides, and a sliding window finds a chance cluster more often than a fixed one. For rare clusters of n people where μ
// are expected, the expected number of separate clusters in a month is (T/w)·n·(1−μ/n)²·P(X ≥ n), by Naus's and Alm's approximations of
// the scan statistic (Naus 1982, JASA 77:177; Alm 1983; Glaz, Naus & Wallenstein 2001, chapter 11). The window is looked at on a grid
// only, so the factor n·(1−μ/n)² is at least 1 and at most the number of grid steps in w. The threshold is the smallest n, not below
// the floor of distinct people, for which that expected number is at most B/4 (internal/scan). Nor is it below the bursts that the
// service has every day or two anyway (baseline.Burst): against those the negative binomial tail is too thin.
//
// # What it must never do
//
// Read a clock, do I/O, or depend on how often it is called: leaving out steps in which all windows are empty gives bit by bit the state
// and verdicts that stepping every one of them gives. Expectations change at quarter hours of event time only.
//
// # Not obvious
//
// Expectations are scaled by how much is listened to (Intake): posts of the last hour against the median of the last seven days at that
// time of the day. Where most posts are about the service itself, as in a stream that follows one name, their number says
// nothing, and nothing is scaled.
//
// Seasons are learned in UTC. In the ten days after clocks change in Europe or North America, the higher of the two hours that
// could be meant is expected (internal/baseline).
//
// A detector that has just begun knows almost nothing, and says so: its expectation is wide, and only hundreds of people raise an alarm
// in the first quarter of an hour. Begin tells it when listening began, so that silence counts as history.
//
// What lies more than two standard deviations above its expectation is learned as if it lay there, until it has done so for a day: a slow
// onset would otherwise become what is usual while it grows, above all on the first day.
//
// The quarter of an hour in which an incident opens is not learned, nor is anything until it is over.
package detect
