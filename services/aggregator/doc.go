// Package aggregator is the third stage: it counts people per service in windows of event time, lets pkg/detect judge them and
// pkg/incident carry the consequences, and writes rows to ClickHouse and incidents to incidents.v1. It must never read a text to decide
// what it says.
//
// How nothing is lost and nothing counted twice, whatever is killed when:
//
//   - Each partition of mentions.v1 is worked through in the order of its log by one owner. What comes out is a function of the log:
//     decisions fall on a fixed grid of event time, when the progress of every partition of posts.v1 has passed a step; within a step,
//     mentions are taken in the order of time and id.
//   - Mentions have deterministic ids. The tables keep sets of them, so a repeated delivery changes no count; the windows remember the ids
//     that they hold.
//   - A flush writes rows first, then incidents to Kafka, then the state with the offset that it belongs to as one atomic block, then
//     the offset to Kafka. A new owner starts from that block, rebuilds the windows from the mentions delivered before that offset, and
//     works through the log again from there: whatever its predecessor had written beyond it is written again, the same.
//   - Rows carry a version with the ownership epoch above all: what a superseded owner still writes loses. An owner begins by writing its
//     whole state under its own epoch, so rows of another epoch than the partition's are what a superseded owner wrote, and are ignored.
//   - The windows remember ids for two hours. The tables remember what was heard at first of a post that is edited later than that; a
//     repeated delivery later than that is too late for any decision, and its row loses to the first.
//   - What is withdrawn loses its text wherever it is: in rows, in what waits for its step, and in incidents that are open or could be
//     reopened; those that are over for good are told once more without it. Withdrawals that come before their posts are part of the state.
//   - What people say of incidents (pkg/verdict), and what was found to have caused them, are records of the same log. One of the aggregators
//     reads incidents.v1 to find causes, and keeps nothing of its own.
package aggregator
