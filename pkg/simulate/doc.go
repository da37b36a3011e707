// Package simulate writes seeded scenarios: streams of posts about many services, with the truth about what each writer meant and
// about every real outage among them. Demonstrations, back-tests and end-to-end tests judge detection against it.
//
// It must never do I/O, call the clock, or copy anybody's post. The same scenario and seed always give the same bytes.
//
// How it works: a [Scenario] declares rates (ordinary posts a day; curves of posts a minute for outages, talk and bots). Time
// advances minute by minute; each rate gives a Poisson number of posts in the minute, placed at random in it, sorted, and then
// written one after another, so that replies and reposts can only refer to what came before. A post's text comes from a template
// grammar (texts/<language>/<label>.txt) and then passes the author's voice: casing, typing errors, abbreviations, emoticons.
//
// What is not obvious:
//   - Templates are written for people to say, not for a classifier to find; a share of the posts of an outage is terse, ironic or
//     names the service only in passing.
//   - Service names are protected from the noise: truth says that a post names a service, so the name stays readable.
//   - Ordinary days hold isolated complaints of the kind "is facebook slow for anyone?". They carry the label outage, because that
//     is what their writers mean, and no entry in the list of outages.
//   - A post by a bot reads like a report and is labelled like one; that no outage stands behind it is told by the list of outages.
package simulate
