// Package incident turns the verdicts on one service into incidents that people can follow: suspected, confirmed, recovering, resolved;
// or dismissed by a person.
//
// It exists so that one outage is one incident. An alarm opens it; only a calm that lasts closes it; an alarm soon after that reopens
// the same one and says so. While it is open it gathers what people need to judge it: when it began, how many people, which symptoms,
// whose word, and the posts themselves.
//
// # What it must never do
//
// Read a clock, do I/O, depend on the order of a map, or grow with the size of the outage. The same mentions and verdicts give the same
// incidents, also when the state was saved, restored and refilled in between (MarshalBinary, NeedsSince, Restore).
//
// # Not obvious
//
// The start lies before the detection: the machine keeps the mentions of the last hour and looks back for the minute at which the rate
// changed (Page's cumulative sum test for a Poisson rate: Page 1954; Lucas 1985).
//
// Distinct people are exact up to Config.MaxPeople; beyond, a hash sample of them is kept and scaled up (adaptive sampling: Flajolet 1990).
//
// A mention counts one person where its label is outage and it is neither a repost, nor by an official account, nor a longer text that
// somebody posted word for word within the last hours (equal, non-zero TextFingerprint). Whoever counts people asks Machine.Add, so that
// there is one answer.
// Reposts and copied texts count nobody, but they are counted: a burst by few accounts, or of the same words, is marked as coordinated, and
// is confirmed by nothing but the operator or a person.
//
// The operator's own words keep the time at which they were said, however late they are read: the earliest is the official one, also
// where the incident is resolved by then: it stays so (Acknowledge). Its all-clear ends nothing
// by itself: people who still complain outvote it.
//
// An alarm that is no more than the model's usual mistakes among unusually much talk about something else opens nothing; nor does one by
// people most of whom name one other service in the same breath, unless the rest are an alarm by themselves.
package incident
