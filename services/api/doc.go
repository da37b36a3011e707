// Package api is the stage that answers: services, series and incidents as JSON, and the same for people as pages with a chart.
//
// It must never write to ClickHouse but for frozen charts, keys and its audit log, never show other people's text unescaped, and never need a script in a reader's browser.
//
// What is not obvious:
//
//   - "Now" is the time of the data, not of the clock: the end of the last minute that was ingested. A replay of 2010 shows the services
//     as they were in 2010. The parameter at asks for another moment.
//   - The state of a service follows from its incidents as they are known today, held against that moment: ok, suspected, outage,
//     recovering, or unknown where the sources on which it is heard are silent or nothing was heard just before, since silent is not quiet. The
//     end of data that were written while they were heard is not "now" once a quarter of an hour has passed: their listener has fallen silent.
//   - JSON comes from the same encoder as the lines that the alerter writes, so that fields have one name everywhere.
//   - A chart is drawn twice into a page, for wide and for narrow screens, and the style sheet shows one: text in an SVG shrinks with the
//     picture.
//   - Pages and embeds work without scripts; the content security policy allows those of this server alone. Embeds may be framed by
//     anybody, nothing else by anybody.
//   - A frozen chart keeps everything that is drawn. A correction of what was believed is added when it is shown, so it is no part of it.
package api
