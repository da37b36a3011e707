// Package alerter is the stage that tells people: it reads incidents.v1, pages through Alertmanager (in this process, or a cluster elsewhere), and
// writes every change of an incident to standard output, as a JSON line, and to a webhook.
//
// It must never decide what is an incident, and never let one slow receiver hold back what is written to standard output or the changes
// of another incident.
//
// What is not obvious:
//
//   - Kafka delivers at least once, and the aggregator may write a change again after a restart. A change is known by incident and
//     revision; when a partition is assigned, the alerter first reads what was committed before (the topic is compacted, so that is
//     little), which tells which revisions were delivered already.
//   - Pages have a reader of their own and commit nothing. After a restart the whole topic, which is compacted, is read before the first page;
//     what was paged is in the engine's log on disk. So neither a webhook that fails for hours nor a full standard output holds a page back.
//   - Alertmanager tells nobody of an end who has not heard of the beginning. So an alert that ended while no alerter ran is in doubt, on disk, until
//     somebody was told of it, and fires for a while where nobody was. For a cluster, told.log has what a member took; for the engine in this process,
//     its notification log has what was told last, and told.log what was told before that.
//   - What was paged is held against ClickHouse now and then, for what the topic did not bring.
//   - An offset is committed once every change before it was delivered, was given up after webhook.give_up_after, or was refused by the
//     receiver for good. A process that is killed in between delivers those changes again, under the same webhook-id.
//   - Changes of one incident are sent one after the other, in their order; different incidents side by side.
//   - The guard against private addresses looks at the address that is dialled, not at the name: see refusePrivate.
//   - Redirects are not followed: whoever answers at the webhook's address must not choose where incidents go, least of all into a
//     private network.
//   - Requests carry the headers of Standard Webhooks. The reference library for them signs; it is the only part of it that is used.
package alerter
