// Package statuspage reads what operators say on their status pages: Statuspage's JSON (and that of compatible hosts), RSS and Atom. It is the only
// importer of gofeed. It must never write a text into a log.
//
// What is not obvious:
//
//   - Each update of an incident is a post of its own, by the service's status account (source "statuspage", author the service's id),
//     with what the page says beyond doubt as its notice: a problem, or recovered. Maintenance that was announced is no incident.
//   - A page without any list of incidents still has an indicator, or components: their changes are told instead.
//   - Several services can share a page. An update then is the word of those that it names, and of no other.
//   - Which format a page has is found by asking. Compatible hosts serve a subset, so every field is optional.
//   - Posts keep the time at which the page says it was said, not at which it was read: the lead over the operator depends on it.
package statuspage
