// Package verdict takes a person's word about an incident (it is none; it is one; I see to it; a remark) to whoever owns the incident.
//
// It exists so that everybody who lets people speak, be it a command, a page or a chat, does it in one way. A verdict is written into
// mentions.v1 under the key of the incident's service: there it has a place in the log that the owner works through, so that what follows
// from it is exact whatever is killed when, like everything else. The owner publishes the incident with the verdict in it
// (Incident.verdicts) on incidents.v1, and writes it to incident_events with the person as the actor.
//
// It must never decide what a verdict does to an incident: that is pkg/incident's.
//
// What is not obvious: a verdict has an id, by default made from what it says, when, and who says it. A writer that repeats a verdict
// because it cannot know whether it arrived keeps the id, and the second one changes nothing.
package verdict
